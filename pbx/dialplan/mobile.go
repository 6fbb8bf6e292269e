package dialplan

import (
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Mobile resolves the way to an extension's mobile under its own identity.
func Mobile(doc *conf.Document, ext conf.Extension, from pbx.Party, now time.Time) (*Outside, string, *pbx.Error) {
	if ext.Mobile == "" {
		return nil, "", pbx.Errorf(pbx.CodeNoMobile, "extension %s has no mobile number: set mobile in its plan or in the directory", ext.Number)
	}
	plan := Resolve(doc, Query{Dialled: ext.Mobile, From: from, By: ext.Number, Written: true, Now: now})
	if plan.Refusal != nil {
		return nil, "", plan.Refusal.Error()
	}
	stage := plan.Stages[0]
	if stage.Out == nil {
		return nil, "", pbx.Errorf(pbx.CodeBadNumber, "the mobile of extension %s is a number of the company itself", ext.Number)
	}
	return stage.Out, stage.Diverted, nil
}
