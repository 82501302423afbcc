{{- $files := .Files.Glob "module/kinds/*.yaml" }}
{{- if not $files }}{{ fail "the kinds are not here: the folder is completed by sandbox.local.charts" }}{{ end }}
{{- range $path, $text := $files }}
---
{{ toString $text }}
{{- end }}
