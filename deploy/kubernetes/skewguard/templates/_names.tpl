{{- define "skewguard.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "skewguard.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "skewguard.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "skewguard.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What a DaemonSet is found by, and must never change. */}}
{{- define "skewguard.selector" -}}
app.kubernetes.io/name: {{ include "skewguard.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of objects: those of a pod have no version of the chart, or every new one would restart every node. */}}
{{- define "skewguard.labels" -}}
{{ include "skewguard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "skewguard.image" -}}
{{- $image := .Values.image }}
{{- with .Values.global.imageRegistry | default $image.registry }}{{ . | trimSuffix "/" }}/{{ end }}
{{- $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "skewguard.pullSecrets" -}}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
