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
A Role and its binding to the service account: (dict "chart" $ "name" NAME "namespace" NAMESPACE
"rule" RULE). Without a namespace they are the release's.
*/}}
{{- define "vipmanager.grant" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{- include "vipmanager.metadata" . | nindent 2 }}
rules: {{- list .rule | toYaml | nindent 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{- include "vipmanager.metadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ .chart.Values.serviceAccount.name }}
  namespace: {{ .chart.Release.Namespace }}
{{- end }}

{{- define "vipmanager.metadata" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels: {{- include "vipmanager.labels" .chart | nindent 2 }}
{{- end }}

{{/* The Lease of the group, and the name of what belongs to it. */}}
{{- define "vipmanager.lease" -}}
{{ .Values.config.LeaseName | default "vipmanager" }}
{{- end }}

{{- define "vipmanager.heartbeatFolder" -}}
/etc/vipmanager/heartbeat
{{- end }}

{{/* What the container needs among the pod's volumes: nothing without standby.keySecret. */}}
{{- define "vipmanager.volumes" -}}
{{- with .Values.standby.keySecret -}}
- name: heartbeat-key
  secret:
    secretName: {{ . }}
    {{- /* User 0 owns it, and without DAC_OVERRIDE reads by that alone. */}}
    defaultMode: 0400
{{- end }}
{{- end }}

{{/*
The container, as one item of initContainers (mode nativeSidecar or initContainer) or of containers
(mode sidecar). For charts of your own that have this one as a dependency:
    initContainers:
    {{- include "vipmanager.container" .Subcharts.vipmanager | nindent 4 }}
*/}}
{{- define "vipmanager.container" -}}
{{- $port := int .Values.config.HTTPPort -}}
{{- $heartbeat := .Values.standby.enabled | ternary (int (dig "HeartbeatPort" 7946 .Values.config)) 0 -}}
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
  {{- /* For Kubernetes Events and the Lease. */}}
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: POD_UID
    valueFrom: {fieldRef: {fieldPath: metadata.uid}}
  {{- if ne .Values.mode "initContainer" }}
  {{- if or $port $heartbeat }}
  ports:
  {{- end }}
  {{- if $port }}
  - name: http-vipmanager
    containerPort: {{ $port }}
  {{- end }}
  {{- if $heartbeat }}
  - name: heartbeat
    containerPort: {{ $heartbeat }}
    protocol: UDP
  {{- end }}
  {{- if $port }}
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
  {{- if .Values.standby.keySecret }}
  volumeMounts:
  - name: heartbeat-key
    mountPath: {{ include "vipmanager.heartbeatFolder" . }}
    readOnly: true
  {{- end }}
  {{- /* Kubernetes has no ambient capabilities: NET_ADMIN takes user 0. */}}
  securityContext:
    runAsUser: 0
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
      add: [NET_ADMIN]
{{- end }}
