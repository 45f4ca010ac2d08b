"""Templates of the services that :mod:`.shapes` builds: such as a directory would hold."""

from __future__ import annotations

__all__ = (
    "DEPLOYMENT",
    "HEADLESS",
    "PDB",
    "SERVICE",
    "SERVICE_ACCOUNT",
    "STATEFUL_SET",
)

SERVICE_ACCOUNT = """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ name }}
automountServiceAccountToken: false
"""

PDB = """\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ name }}
spec:
  # One at a time; with a single replica a drain still goes through.
  maxUnavailable: 1
  selector:
    matchLabels: {{ selector }}
"""

SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {{ name }}
spec:
  selector: {{ selector }}
  ports:
    - name: http
      port: {{ params.port }}
      targetPort: http
"""

HEADLESS = """\
---
apiVersion: v1
kind: Service
metadata:
  name: {{ name ~ "-headless" }}
spec:
  clusterIP: None
  # Members must find each other before they are ready.
  publishNotReadyAddresses: true
  selector: {{ selector }}
  ports:
    - name: http
      port: {{ params.port }}
      targetPort: http
"""

# What both workloads have in common; the indentation is that of spec.template.
_POD = """\
  selector:
    matchLabels: {{ selector }}
  template:
    metadata:
      labels: {{ selector }}
    spec:
      serviceAccountName: {{ name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      nodeSelector: {{ params.node_selector }}
      tolerations: {{ params.tolerations }}
      topologySpreadConstraints:
        - topologyKey: kubernetes.io/hostname
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{ selector }}
      securityContext:
        runAsNonRoot: true
        runAsUser: {{ params.user }}
        runAsGroup: {{ params.user }}
        fsGroup: {{ params.user }}
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: main
          image: {{ images.main }}
          imagePullPolicy: IfNotPresent
          command: {{ params.command }}
          args: {{ params.args }}
          env:
            {% for key, value in params.env | dictsort %}
            - name: {{ key }}
              value: {{ value | string }}
            {% endfor %}
          ports:
            - name: http
              containerPort: {{ params.port }}
          # Two and a half minutes to start; later, half a minute without an answer restarts it.
          startupProbe:
            httpGet:
              path: {{ params.probe }}
              port: http
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 30
          readinessProbe:
            httpGet:
              path: {{ params.probe }}
              port: http
            periodSeconds: 10
            timeoutSeconds: 3
          livenessProbe:
            httpGet:
              path: {{ params.probe }}
              port: http
            periodSeconds: 10
            timeoutSeconds: 3
          # Every node's proxy learns later than the pod itself that it goes: until then it serves.
          lifecycle:
            preStop:
              sleep:
                seconds: 5
          resources:
            requests:
              cpu: {{ params.cpu }}
              memory: {{ params.memory }}
            limits:
              memory: {{ params.memory }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {% if params.mount is defined %}
            - name: data
              mountPath: {{ params.mount }}
            {% endif %}
      volumes:
        - name: tmp
          emptyDir: {}
"""

DEPLOYMENT = (
    """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ name }}
spec:
  replicas: {{ params.replicas }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
"""
    + _POD
)

STATEFUL_SET = (
    """\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ name }}
spec:
  replicas: {{ params.replicas }}
  serviceName: {{ name ~ "-headless" }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: Retain
    whenScaled: Retain
"""
    + _POD
    + """\
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ params.storage_class }}
        resources:
          requests:
            storage: {{ params.storage }}
"""
)
