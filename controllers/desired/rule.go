package desired

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// alert is one row of the tenant's alerts. In the expression, $ stands for the
// labels that choose the tenant's series.
type alert struct {
	name, expr, lasts, severity string
	summary, cure               string
}

// alerts are for people on duty: what costs calls is critical, what will is a
// warning. Times are long enough for a PBX to be replaced without an alarm.
func alerts(in Input) []alert {
	out := []alert{
		{
			"DipcastPBXDown", "absent(dipcast_calls_limit$)", "2m", "critical",
			"the PBX does not answer Prometheus", "see the condition PodRunning of the PBXTenant and the log of its pod",
		},
		{
			"DipcastCallsNearLimit", "sum by (tenant_namespace, tenant) (dipcast_calls$) >= 0.9 * sum by (tenant_namespace, tenant) (dipcast_calls_limit$)", "5m", "warning",
			"nine of ten calls that the class allows are up", "choose a PBXClass with more concurrentCalls before calls are refused",
		},
		{
			"DipcastRegistrationsAboveOperating", "dipcast_registrations$ > dipcast_registrations_operating$", "15m", "warning",
			"more phones are registered than the class is meant for", "choose a PBXClass with a higher registrations.operating",
		},
		{
			"DipcastWorksMessagesDropped", "increase(dipcast_works_messages_dropped_total$[10m]) > 0", "0m", "warning",
			"messages to NAVER WORKS were given up", "see the conditions of the NaverWorksBot and the log's lines with NAVER WORKS",
		},
		{
			"DipcastConfigRefused", "increase(dipcast_config_refused_total$[10m]) > 0", "0m", "warning",
			"the PBX refused a configuration and goes on with the last good one", "see the condition ConfigApplied of the PBXTenant",
		},
		{
			"DipcastCDRsWaiting", "dipcast_cdrs_waiting$ > 0", "10m", "warning",
			"call records wait for the database", "see that the database answers and that the volume is not full",
		},
		{
			"DipcastRecordingFails", "dipcast_recordings_failing$ > 0", "1m", "critical",
			"calls go on without being recorded", "enlarge the tenant's volume or delete recordings; the PBX's log says what is wrong with the disk",
		},
		{
			"DipcastSpeechPoor",
			"histogram_quantile(0.5, sum by (tenant_namespace, tenant, le) (rate(dipcast_rtp_mos_bucket$[15m]))) < 3.6", "15m", "warning",
			"half of the legs sound so that many people are dissatisfied", "see loss, jitter and round trip of the calls in the console: they name the side whose network is bad",
		},
		{
			"DipcastDatabaseDown", "dipcast_database_up$ == 0", "2m", "critical",
			"the database does not answer; calls go on", "see that PostgreSQL is reachable, or that the tenant's volume is not full",
		},
	}
	if in.Trunks > 0 {
		out = append(out, alert{
			"DipcastTrunkDown", "dipcast_trunks_up$ < " + strconv.Itoa(in.Trunks), "2m", "critical",
			"a trunk can take no call", "see the condition TrunksUp of the PBXTenant",
		})
	}
	return out
}

// prometheusRule holds the alerts of one tenant.
func prometheusRule(in Input) *unstructured.Unstructured {
	if !in.APIs.PrometheusRule {
		return nil
	}
	t := in.Tenant
	labels := fmt.Sprintf("{tenant_namespace=%q,tenant=%q}", t.Namespace, t.Name)
	var rules list
	for _, a := range alerts(in) {
		rules = append(rules, object{
			"alert":  a.name,
			"expr":   strings.ReplaceAll(a.expr, "$", labels),
			"for":    a.lasts,
			"labels": object{"severity": a.severity, "tenant_namespace": t.Namespace, "tenant": t.Name},
			"annotations": object{
				"summary":     fmt.Sprintf("PBXTenant %s/%s: %s", t.Namespace, t.Name, a.summary),
				"description": "What to do: " + a.cure + ".",
			},
		})
	}
	u := foreign(t, PrometheusRuleKind(), PBXName(t.Name), ComponentPBX, object{
		"groups": list{object{"name": "dipcast." + t.Namespace + "." + t.Name, "rules": rules}},
	})
	return monitored(u, in)
}
