"""The Kubernetes API, from inside a pod.

    client           calls: JSON values in, failures out
    connections      kept-alive connections that the calls go over
    service_account  the files that kubelet mounts: token, ca.crt, namespace
    answers          what an answer means
    hedging          one request over two connections at once
    lease            the Lease: read, written, watched
    pods, nodes      what is read of them
    delivery         what nobody waits for, sent until the API takes it
    events           Kubernetes Events, delivered
    role_label       the role as a label of the pod, delivered
    kubectl          a cluster, for somebody who is in none of its pods

What is slow to import (urllib3) is imported with the first call.
"""
