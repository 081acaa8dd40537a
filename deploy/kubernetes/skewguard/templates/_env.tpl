{{/* In a network of its own a pod does not know which node it is on; with the node's it has the node's name. */}}
{{- define "skewguard.env" -}}
{{- $names := list }}
{{- range .Values.env }}{{ $names = append $names .name }}{{ end }}
{{- if and (eq .Values.network "pod") (not (has "OTEL_RESOURCE_ATTRIBUTES" $names)) }}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.node.name=$(NODE_NAME)
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}
