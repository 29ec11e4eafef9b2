# The parameters of deploy/cloudformation/eks-multiaz-nodegroup-multus.yaml, and `name`, which is a
# stack's name there.

variable "name" {
  description = "Of the node group: its Auto Scaling groups are NAME-zone1 and NAME-zone2."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,50}$", var.name))
    error_message = "Expected at most 51 letters, digits and hyphens, a letter first."
  }
}

# Cluster

variable "cluster_name" {
  type = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$", var.cluster_name))
    error_message = "Expected the name of an EKS cluster."
  }
}

variable "api_server_endpoint" {
  description = "aws_eks_cluster.this.endpoint"
  type        = string

  validation {
    condition     = can(regex("^https://.+", var.api_server_endpoint))
    error_message = "Expected a URL that begins with https://."
  }
}

variable "certificate_authority" {
  description = "aws_eks_cluster.this.certificate_authority[0].data"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9+/]+={0,2}$", var.certificate_authority))
    error_message = "Expected base64, as EKS gives it."
  }
}

variable "service_cidr" {
  description = "aws_eks_cluster.this.kubernetes_network_config[0].service_ipv4_cidr"
  type        = string
  default     = "10.100.0.0/16"

  validation {
    condition     = can(cidrhost(var.service_cidr, 0))
    error_message = "Expected a CIDR block such as 10.100.0.0/16."
  }
}

variable "cluster_control_plane_security_group" {
  description = "aws_eks_cluster.this.vpc_config[0].cluster_security_group_id"
  type        = string
}

variable "kubernetes_version" {
  type    = string
  default = "1.35"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "Expected a Kubernetes version such as 1.35."
  }
}

variable "create_access_entry" {
  description = "false for a cluster with authentication mode CONFIG_MAP: put node_role_arn into its aws-auth."
  type        = bool
  default     = true
}

# Network

variable "vpc_id" {
  type = string
}

variable "zone1_node_subnet" {
  description = "The subnet of the nodes' primary ENIs in the first zone."
  type        = string
}

variable "zone1_eni_subnets" {
  description = "The subnets for eth1, eth2 and so on, in this order, all of the first zone."
  type        = list(string)
}

variable "zone2_node_subnet" {
  description = "The same in another zone."
  type        = string
}

variable "zone2_eni_subnets" {
  description = "The same in the second zone."
  type        = list(string)
}

variable "eni_security_groups" {
  description = "One for all ENIs, or one for each subnet in order; empty for the nodes' own."
  type        = list(string)
  default     = []
}

variable "zone1_eni_extra_security_groups" {
  description = "What every ENI of the first zone has beside those."
  type        = list(string)
  default     = []
}

variable "zone2_eni_extra_security_groups" {
  description = "The same in the second zone."
  type        = list(string)
  default     = []
}

variable "eni_addresses" {
  description = "dhcp: addresses of EC2's choice; static: the first free ones of the subnet."
  type        = string
  default     = "dhcp"

  validation {
    condition     = contains(["dhcp", "static"], var.eni_addresses)
    error_message = "Expected dhcp or static."
  }
}

variable "eni_tags" {
  type    = map(string)
  default = {}

  validation {
    condition     = alltrue([for key, value in var.eni_tags : !strcontains("${key}${value}", ",") && value != ""])
    error_message = "The function reads key=value,key=value: expected values without a comma, and none empty."
  }
}

# Nodes

variable "image_id" {
  description = "An AMI with nodeadm, made from EKS' for AL2023; known at plan."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(ami-[0-9a-f]+)?$", var.image_id))
    error_message = "Expected an AMI id such as ami-0123456789abcdef0."
  }
}

variable "image_parameter" {
  description = "Or the SSM parameter that holds its id; both empty for EKS' own."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9_./-]*$", var.image_parameter))
    error_message = "Expected the name of an SSM parameter."
  }
}

variable "architecture" {
  description = "Of EKS' own AMI."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "Expected x86_64 or arm64."
  }
}

variable "instance_type" {
  description = "One that takes one ENI more than there are ENI subnets."
  type        = string
  default     = "m5.2xlarge"

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", var.instance_type))
    error_message = "Expected an EC2 instance type such as m5.2xlarge."
  }
}

variable "nodes_per_zone" {
  description = "The least, and how many there are at first."
  type        = number
  default     = 1

  validation {
    condition     = var.nodes_per_zone >= 0
    error_message = "Expected 0 or more."
  }
}

variable "max_nodes_per_zone" {
  type    = number
  default = 4

  validation {
    condition     = var.max_nodes_per_zone >= 1
    error_message = "Expected 1 or more."
  }
}

variable "volume_size" {
  description = "GiB of each node's root volume."
  type        = number
  default     = 50

  validation {
    condition     = var.volume_size >= 20
    error_message = "Expected 20 or more."
  }
}

variable "node_extra_security_groups" {
  description = "What the nodes' primary ENIs have beside the group's own."
  type        = list(string)
  default     = []
}

variable "max_pods" {
  description = "0 for EKS' own figure, which counts on all ENIs of the type: with n of them for Multus give (ENIs - n) x (IPv4 addresses per ENI - 1) + 2."
  type        = number
  default     = 0

  validation {
    condition     = var.max_pods >= 0
    error_message = "Expected 0 or more."
  }
}

variable "node_labels" {
  description = "The labels that pods select their nodes by, the same in both zones."
  type        = map(string)
  default     = { multus = "true" }

  validation {
    condition     = length(var.node_labels) > 0 && alltrue([for key, value in var.node_labels : can(regex("^[^=,\\s]+=[^=,\\s]*$", "${key}=${value}"))])
    error_message = "Expected at least one label, without =, comma or blank in it."
  }
}

variable "node_taints" {
  description = "As [\"key=value:effect\"]."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for taint in var.node_taints : can(regex("^[^=,:\\s]+=[^=,:\\s]*:(NoSchedule|PreferNoSchedule|NoExecute)$", taint))])
    error_message = "Expected key=value:effect, the effect being NoSchedule, PreferNoSchedule or NoExecute."
  }
}

variable "taint_until_multus" {
  description = "Adds multus=starting:NoSchedule, which deploy/node/multus-ready.yaml takes off."
  type        = bool
  default     = false
}

variable "node_config" {
  description = "nodeadm's, which is merged into the group's own (CPU manager, kubelet's flags)."
  type        = string
  default     = ""
}

variable "boot_script" {
  description = "For bash as root, before kubelet starts (huge pages)."
  type        = string
  default     = ""
}

variable "drain_seconds" {
  description = "What the pods of a leaving node have to end; the last 30 s are for critical ones."
  type        = number
  default     = 300

  validation {
    condition     = var.drain_seconds >= 60 && var.drain_seconds <= 720
    error_message = "Expected 60 to 720."
  }
}

variable "key_name" {
  type    = string
  default = ""
}

variable "session_manager" {
  description = "Whether it may open sessions on the nodes."
  type        = bool
  default     = false
}

variable "cni_policy_on_node_role" {
  description = "false if the VPC CNI has a role of its own, which is better."
  type        = bool
  default     = true
}

variable "agent_policy_arn" {
  description = "Better empty: the policy of agent-role.yaml, for clusters without EKS Pod Identity and IRSA; known at plan. It lets every pod that reaches IMDS write the routes."
  type        = string
  default     = ""
}
