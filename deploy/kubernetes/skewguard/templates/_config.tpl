{{/* The agent's configuration. In a network of the pod's own the metadata service is asked only by somebody's wish. */}}
{{- define "skewguard.config" -}}
{{- $config := deepCopy (.Values.config | default dict) }}
{{- if eq .Values.network "pod" }}
{{- $config = mustMerge $config (dict "credentials" (dict "imds" (dict "enabled" false))) }}
{{- end }}
{{- include "skewguard.checkPlaces" . }}
{{- include "skewguard.checkRoom" . }}
{{- toYaml $config }}
{{- end }}

{{/* Its own places are the two volumes: all else in there cannot be written to. */}}
{{- define "skewguard.checkPlaces" -}}
{{- with (.Values.config).socket }}
{{- if ne (dir .) "/run/skewguard" }}
{{- fail (printf "config.socket: %s lies in no volume: write /run/skewguard/NAME, or leave it out" .) }}
{{- end }}
{{- end }}
{{- with (.Values.config).state_dir }}
{{- if ne . "/var/lib/skewguard" }}
{{- fail (printf "config.state_dir: %s is no volume: write /var/lib/skewguard, or leave it out" .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* A queue that is larger than its volume would be refused by it, and memory that is too little ends the agent. */}}
{{- define "skewguard.checkRoom" -}}
{{- $state := include "skewguard.kibibytes" .Values.volumes.state.sizeLimit | int }}
{{- $size := dig "queue" "size" "256MiB" (.Values.config | default dict) | default "256MiB" }}
{{- if ge (include "skewguard.kibibytes" $size | int) $state }}
{{- fail (printf "config.queue.size: %s does not fit into volumes.state.sizeLimit, which is %s" $size .Values.volumes.state.sizeLimit) }}
{{- end }}
{{- with dig "limits" "memory" "" (.Values.resources | default dict) }}
{{- $memory := include "skewguard.kibibytes" . | int }}
{{- $least := add $state (include "skewguard.kibibytes" $.Values.volumes.socket.sizeLimit | int) 16384 }}
{{- if and $memory (lt $memory ($least | int)) }}
{{- fail (printf "resources.limits.memory: %s is less than both volumes, which are memory, and 16Mi for the agent" .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* 8MiB and 8Mi as KiB; 0 for what is written in another unit. */}}
{{- define "skewguard.kibibytes" -}}
{{- $text := . | toString | trim | trimSuffix "B" }}
{{- $number := regexFind "^[0-9]+" $text | int }}
{{- $unit := regexFind "[KMG]i$" $text }}
{{- mul $number (get (dict "Ki" 1 "Mi" 1024 "Gi" 1048576 "" 0) $unit) }}
{{- end }}
