{{- define "dipcast.name" -}}
{{- if contains "dipcast" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-dipcast" (.Release.Name | trunc 32 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "dipcast.operator" -}}
{{ include "dipcast.name" . }}-operator
{{- end }}

{{- define "dipcast.selector" -}}
app.kubernetes.io/name: dipcast-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dipcast.labels" -}}
{{ include "dipcast.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: dipcast
app.kubernetes.io/version: {{ include "dipcast.tag" . | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "dipcast.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "dipcast.operator" .) }}
{{- end }}

{{- define "dipcast.tag" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "dipcast.image" -}}
{{ .Values.image.reference | default (printf "%s/operator:%s" .Values.image.prefix (include "dipcast.tag" .)) }}
{{- end }}

{{- define "dipcast.pbxImage" -}}
{{ .Values.pbx.image | default (printf "%s/pbx:%s" .Values.image.prefix (include "dipcast.tag" .)) }}
{{- end }}

{{- /* "true" if an optional object is wanted: (list . ENABLED API/KIND). */ -}}
{{- define "dipcast.wanted" -}}
{{- $root := index . 0 }}{{ $enabled := toString (index . 1) }}
{{- if or (eq $enabled "true") (and (eq $enabled "auto") ($root.Capabilities.APIVersions.Has (index . 2))) }}true{{ end }}
{{- end }}

{{- /* The rules of one role that make generate wrote: (list . NAME). */ -}}
{{- define "dipcast.rules" -}}
{{- $root := index . 0 }}{{ $name := index . 1 }}{{ $found := dict }}
{{- range $file, $_ := $root.Files.Glob "files/rbac/*.yaml" }}
{{- range splitList "\n---\n" ($root.Files.Get $file) }}
{{- $role := fromYaml . }}
{{- if eq (dig "metadata" "name" "" $role) $name }}{{ $_ := set $found "rules" $role.rules }}{{ end }}
{{- end }}
{{- end }}
{{- required (printf "files/rbac has no role %s: run make generate" $name) $found.rules | toYaml }}
{{- end }}
