{{/* Labels of every object. */}}
{{- define "vipmanager.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "vipmanager.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* The value of the pod annotation k8s.v1.cni.cncf.io/networks. */}}
{{- define "vipmanager.networks" -}}
{{- $names := list }}
{{- range .Values.networks }}{{ $names = append $names .name }}{{ end }}
{{- join ", " $names }}
{{- end }}

{{/*
The container, as one item of initContainers (mode nativeSidecar or initContainer) or of containers
(mode sidecar). For charts of your own that have this one as a dependency:
    initContainers:
    {{- include "vipmanager.container" .Subcharts.vipmanager | nindent 4 }}
*/}}
{{- define "vipmanager.container" -}}
{{- $port := int .Values.config.HTTPPort -}}
- name: vipmanager
  image: {{ include "vipmanager.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [run]
  {{- if eq .Values.mode "nativeSidecar" }}
  restartPolicy: Always
  {{- end }}
  envFrom:
  - configMapRef:
      name: {{ .Values.configMap }}
  env:
  - name: RunAsSidecar
    value: {{ eq .Values.mode "initContainer" | ternary "False" "True" | quote }}
  {{- /* For Kubernetes Events on the pod. */}}
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: POD_UID
    valueFrom: {fieldRef: {fieldPath: metadata.uid}}
  {{- if ne .Values.mode "initContainer" }}
  {{- if $port }}
  ports:
  - name: http-vipmanager
    containerPort: {{ $port }}
  {{- if and (eq .Values.mode "nativeSidecar") (not .Values.config.HealthCheck) }}
  {{- /* The application starts once its floating IPs are steered, as after an initContainer; with
         HealthCheck they are steered once the application has started. */}}
  startupProbe:
    httpGet:
      path: /readyz
      port: http-vipmanager
    periodSeconds: 1
    failureThreshold: 600
  {{- end }}
  livenessProbe:
    httpGet:
      path: /healthz
      port: http-vipmanager
  readinessProbe:
    httpGet:
      path: /readyz
      port: http-vipmanager
    periodSeconds: 2
  {{- end }}
  {{- /* A native sidecar gets SIGTERM only after the application has stopped. */}}
  lifecycle:
    preStop:
      exec:
        command: [vipmanager, yield]
  {{- end }}
  resources: {{- toYaml .Values.resources | nindent 4 }}
  {{- /* Kubernetes has no ambient capabilities: NET_ADMIN takes user 0. */}}
  securityContext:
    runAsUser: 0
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
      add: [NET_ADMIN]
{{- end }}
