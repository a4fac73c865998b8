{{- define "type" -}}
{{- if markdownShouldRenderType . }}

## {{ .Name }}

{{ .Doc }}
{{- if .References }}

Used by:
{{- range $index, $reference := .SortedReferences }}{{ if $index }},{{ end }} {{ markdownRenderTypeLink $reference }}{{ end }}
{{- end }}
{{- if .Members }}

| Field | Type | Meaning | Default | Constraints |
| --- | --- | --- | --- | --- |
{{- range .Members }}
| `{{ .Name }}` | {{ markdownRenderType .Type }} | {{ template "meaning" . }} | {{ if .Default }}`{{ .Default }}`{{ end }} | {{ template "constraints" .Validation }} |
{{- end }}
{{- end }}
{{- if .EnumValues }}

| Value | Meaning |
| --- | --- |
{{- range .EnumValues }}
| `{{ .Name }}` | {{ template "sentence" .Doc }} |
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meaning" -}}
{{- if eq .Name "metadata" -}}
The metadata that every Kubernetes object has.
{{- else -}}
{{ template "sentence" .Doc }}
{{- end -}}
{{- end -}}

{{- /* A comment's lines are broken for its source, not for a table's cell. */ -}}
{{- define "sentence" -}}
{{ markdownRenderFieldDoc . | replace "<br />" " " | trim }}
{{- end -}}

{{- define "constraints" -}}
{{- $first := true -}}
{{- range . -}}
{{- if not (or (eq . "Optional: {}") (eq . "Optional: \\{\\}")) -}}
{{- if not $first }}<br />{{ end }}{{ $first = false -}}
{{- if or (eq . "Required: {}") (eq . "Required: \\{\\}") }}required{{ else }}{{ markdownRenderFieldDoc . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
