{{/* With which names begin. 40 characters, so that none of them grows over 63; what is cut differs. */}}
{{- define "vipmanager.fullname" -}}
{{- $named := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) }}
{{- $name := .Values.fullnameOverride | default $named }}
{{- if gt (len $name) 40 }}
{{- $name = printf "%s-%s" ($name | trunc 31 | trimSuffix "-") ($name | sha256sum | trunc 8) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "vipmanager.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Whether a key of the ConfigMap is True, in either writing: empty for no. */}}
{{- define "vipmanager.true" -}}
{{- if eq "true" (toString . | lower) -}}true{{- end }}
{{- end }}

{{- define "vipmanager.configMap" -}}
{{ .Values.configMap | default (printf "%s-config" (include "vipmanager.fullname" .)) }}
{{- end }}

{{- define "vipmanager.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "vipmanager.fullname" .) "default") }}
{{- end }}

{{/* The name of the example. */}}
{{- define "vipmanager.example" -}}
{{ .Values.example.name | default (printf "%s-example" (include "vipmanager.fullname" .)) }}
{{- end }}

{{- define "vipmanager.image" -}}
{{- with .Values.image -}}
{{- if or (not .repository) (contains "xxxxxxxxxxxx" .repository) }}
{{- fail (printf "image.repository: expected the repository that your nodes pull vipmanager from, not %q" .repository) }}
{{- end -}}
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
"rule" RULE), or "rules" for several. Without a namespace they are the release's, and without an
"account" it is the agents'.
*/}}
{{- define "vipmanager.grant" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{- include "vipmanager.metadata" . | nindent 2 }}
rules: {{- .rules | default (list .rule) | toYaml | nindent 0 }}
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
  name: {{ .account | default (include "vipmanager.serviceAccount" .chart) }}
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
{{ .Values.config.LeaseName | default (include "vipmanager.fullname" .) }}
{{- end }}

{{/* Whether a Lease decides who steers: empty for no. An initContainer ends, and holds none. */}}
{{- define "vipmanager.elects" -}}
{{- if and .Values.leaderElection (ne .Values.mode "initContainer") -}}true{{- end }}
{{- end }}

{{- define "vipmanager.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "vipmanager.heartbeatFolder" -}}
/etc/vipmanager/heartbeat
{{- end }}

{{/* What the container needs among the pod's volumes. */}}
{{- define "vipmanager.volumes" -}}
{{- with .Values.standby.keySecret }}
- name: heartbeat-key
  secret:
    secretName: {{ . }}
    {{- /* User 0 owns it, and without DAC_OVERRIDE reads by that alone. */}}
    defaultMode: 0400
{{- end }}
- name: pod-networks
  downwardAPI:
    items:
    - path: networks
      fieldRef: {fieldPath: "metadata.annotations['k8s.v1.cni.cncf.io/networks']"}
    - path: network-status
      fieldRef: {fieldPath: "metadata.annotations['k8s.v1.cni.cncf.io/network-status']"}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
The container, as one item of initContainers (mode nativeSidecar or initContainer) or of containers
(mode sidecar). For charts of your own that have this one as a dependency:
    initContainers:
    {{- include "vipmanager.container" $.Subcharts.vipmanager | nindent 4 }}
*/}}
{{- define "vipmanager.container" -}}
{{- $port := int .Values.config.HTTPPort -}}
{{- $elects := include "vipmanager.elects" . -}}
{{- $heartbeat := not (empty $elects) | ternary (int (dig "HeartbeatPort" 7946 .Values.config)) 0 -}}
- name: vipmanager
  image: {{ include "vipmanager.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [run]
  {{- if eq .Values.mode "nativeSidecar" }}
  restartPolicy: Always
  {{- end }}
  envFrom:
  - configMapRef:
      name: {{ include "vipmanager.configMap" . }}
  {{- with .Values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  env:
  - name: RunAsSidecar
    value: {{ eq .Values.mode "initContainer" | ternary "False" "True" | quote }}
  {{- if $elects }}
  - name: LeaderElection
    value: "True"
  {{- end }}
  {{- /* For the Lease, and for Kubernetes Events. */}}
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: POD_UID
    valueFrom: {fieldRef: {fieldPath: metadata.uid}}
  {{- /* For HandOverOn=cordon. */}}
  - name: NODE_NAME
    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
  {{- /* They tell which interface is the cluster's; what Multus attached is in the volume, since
         kubelet reads the annotations for the environment before Multus has written them. */}}
  - name: POD_IPS
    valueFrom: {fieldRef: {fieldPath: status.podIPs}}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
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
  volumeMounts:
  - name: pod-networks
    mountPath: /etc/vipmanager/pod
    readOnly: true
  {{- if .Values.standby.keySecret }}
  - name: heartbeat-key
    mountPath: {{ include "vipmanager.heartbeatFolder" . }}
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- /* Kubernetes has no ambient capabilities: NET_ADMIN takes user 0. */}}
  {{- $needs := dict "runAsUser" 0 "runAsNonRoot" false "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true
        "capabilities" (dict "drop" (list "ALL") "add" (list "NET_ADMIN")) }}
  securityContext: {{- mergeOverwrite $needs (deepCopy .Values.securityContext) | toYaml | nindent 4 }}
{{- end }}
