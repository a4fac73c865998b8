{{- define "gvDetails" -}}
Group and version: `{{ .GroupVersionString }}`. Kinds:
{{- range .SortedKinds }}
{{- $type := $.TypeForKind . }}
- {{ markdownRenderTypeLink $type }}
{{- end }}
{{- range .SortedKinds }}{{ template "type" ($.TypeForKind .) }}{{ end }}
{{- range .SortedTypes }}{{ if not .GVK }}{{ template "type" . }}{{ end }}{{ end }}
{{- end -}}
