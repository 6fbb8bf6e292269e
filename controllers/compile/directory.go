package compile

import (
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// defaultContacts is how many phones an extension may register at a time where
// nobody says otherwise.
const defaultContacts = 3

// directoryExtensions are those that the operator took from the plan's
// directory. A status that outlived its spec.directory counts no more.
func directoryExtensions(p *v1alpha1.ExtensionPlan) []v1alpha1.DirectoryExtension {
	if p.Spec.Directory == nil || p.Status.Directory == nil {
		return nil
	}
	return p.Status.Directory.Extensions
}

func (c *compiler) hasDirectory() bool {
	for i := range c.in.Plans {
		if c.in.Plans[i].Spec.Directory != nil {
			return true
		}
	}
	return false
}

// claimDirectory claims the numbers of a plan's directory, after those of all
// manifests: what a manifest says wins. Nothing that stands in a directory is an
// Error, since somebody in personnel must not stop a company's manifests.
func (c *compiler) claimDirectory(p *v1alpha1.ExtensionPlan) {
	o := planObject(p)
	for i, e := range directoryExtensions(p) {
		before := len(c.problems)
		c.claimNumber(e.Number, place{o, directoryPath(i) + ".number", isExtension})
		c.soften(before)
	}
}

// soften turns the problems from the given one on into Warnings.
func (c *compiler) soften(from int) {
	for i := range c.problems[from:] {
		c.problems[from+i].Severity = Warning
	}
}

func directoryPath(i int) string { return index("status.directory.extensions", i) }

// directory adds the extensions of a plan's directory, after all that are
// written in manifests.
func (c *compiler) directory(p *v1alpha1.ExtensionPlan) {
	o := planObject(p)
	if p.Spec.Directory != nil && p.Status.Directory == nil {
		c.warn(o, "spec.directory", "", v1alpha1.ReasonWaiting,
			"the directory was not read yet: the operator does so by itself, see the condition DirectorySynced; without a cluster write the numbers under spec.extensions")
	}
	for i, e := range directoryExtensions(p) {
		path := directoryPath(i)
		if !c.mine(e.Number, o, path+".number") {
			continue // told while claiming
		}
		password, ok := c.generated(o, path+".number", ExtensionSecret(c.in.Tenant.Name, e.Number), v1alpha1.KeyPassword)
		if !ok {
			continue
		}
		out := conf.Extension{
			Number: e.Number, DisplayName: e.DisplayName, WorksUser: strings.TrimSpace(e.WorksUser),
			MaxContacts: defaultContacts, Password: password,
		}
		before := len(c.problems)
		if c.worksUser(o, path+".worksUser", out.WorksUser); len(c.problems) > before {
			out.WorksUser = "" // the telephone works, the cards go to the other one
		}
		if e.Mobile != "" {
			var err error
			if out.Mobile, err = mobile(e.Mobile); err != nil {
				c.errorf(o, path+".mobile", e.Mobile, v1alpha1.ReasonInvalid, "%v", err)
			}
		}
		c.soften(before)
		c.doc.Extensions = append(c.doc.Extensions, out)
	}
}
