# What deploy/cloudformation/eks-multiaz-nodegroup-multus.yaml makes, with its function, its user data
# and its rights: attach-enis.zip, attach-enis.json.tftpl, user-data.tftpl and boot.sh are written from
# that template by scripts/build-templates.

data "aws_partition" "this" {}
data "aws_region" "this" {}
data "aws_caller_identity" "this" {}

data "aws_subnet" "node" {
  for_each = { zone1 = var.zone1_node_subnet, zone2 = var.zone2_node_subnet }
  id       = each.value
}

data "aws_subnet" "zone1_eni" {
  count = length(var.zone1_eni_subnets)
  id    = var.zone1_eni_subnets[count.index]
}

data "aws_subnet" "zone2_eni" {
  count = length(var.zone2_eni_subnets)
  id    = var.zone2_eni_subnets[count.index]
}

data "aws_ssm_parameter" "image" {
  count = var.image_id == "" ? 1 : 0
  name = var.image_parameter != "" ? var.image_parameter : (
    "/aws/service/eks/optimized-ami/${var.kubernetes_version}/amazon-linux-2023/${var.architecture}/standard/recommended/image_id"
  )
}

locals {
  groups = {
    "${var.name}-zone1" = { node = var.zone1_node_subnet, enis = var.zone1_eni_subnets, extra = var.zone1_eni_extra_security_groups }
    "${var.name}-zone2" = { node = var.zone2_node_subnet, enis = var.zone2_eni_subnets, extra = var.zone2_eni_extra_security_groups }
  }
  taints = concat(var.taint_until_multus ? ["multus=starting:NoSchedule"] : [], var.node_taints)
  policies = concat(
    ["AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"],
    var.cni_policy_on_node_role ? ["AmazonEKS_CNI_Policy"] : [],
    var.session_manager ? ["AmazonSSMManagedInstanceCore"] : [],
  )
}

# Without rights to write routes: the agent has a role of its own (agent-role.yaml).
resource "aws_iam_role" "node" {
  name_prefix = "${substr(var.name, 0, 30)}-node-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = toset(local.policies)
  role       = aws_iam_role.node.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/${each.value}"
}

resource "aws_iam_role_policy_attachment" "agent" {
  count      = var.agent_policy_arn != "" ? 1 : 0
  role       = aws_iam_role.node.name
  policy_arn = var.agent_policy_arn
}

resource "aws_iam_instance_profile" "node" {
  name_prefix = "${substr(var.name, 0, 30)}-node-"
  role        = aws_iam_role.node.name
}

resource "aws_eks_access_entry" "node" {
  count         = var.create_access_entry ? 1 : 0
  cluster_name  = var.cluster_name
  principal_arn = aws_iam_role.node.arn
  type          = "EC2_LINUX"
}

resource "aws_security_group" "node" {
  name_prefix = "${var.name}-node-"
  description = "the nodes of both zones"
  vpc_id      = var.vpc_id
  tags        = { "kubernetes.io/cluster/${var.cluster_name}" = "owned" }
}

# Rules of their own, so that those which others add to the groups stay.
resource "aws_vpc_security_group_egress_rule" "node" {
  security_group_id = aws_security_group.node.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "node_ipv6" {
  security_group_id = aws_security_group.node.id
  ip_protocol       = "-1"
  cidr_ipv6         = "::/0"
}

resource "aws_vpc_security_group_ingress_rule" "kubelet" {
  security_group_id            = aws_security_group.node.id
  description                  = "kubelet, and webhooks on pods, from the control plane"
  referenced_security_group_id = var.cluster_control_plane_security_group
  ip_protocol                  = "tcp"
  from_port                    = 1025
  to_port                      = 65535
}

resource "aws_vpc_security_group_ingress_rule" "extension" {
  security_group_id            = aws_security_group.node.id
  description                  = "extension API servers, from the control plane"
  referenced_security_group_id = var.cluster_control_plane_security_group
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "nodes_to_nodes" {
  security_group_id            = aws_security_group.node.id
  description                  = "pods and nodes of both zones talk to one another"
  referenced_security_group_id = aws_security_group.node.id
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_ingress_rule" "nodes_to_control_plane" {
  security_group_id            = var.cluster_control_plane_security_group
  description                  = "the nodes talk to the API server"
  referenced_security_group_id = aws_security_group.node.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_launch_template" "node" {
  name_prefix            = "${var.name}-"
  image_id               = var.image_id != "" ? var.image_id : data.aws_ssm_parameter.image[0].insecure_value
  instance_type          = var.instance_type
  key_name               = var.key_name != "" ? var.key_name : null
  vpc_security_group_ids = concat([aws_security_group.node.id], var.node_extra_security_groups)

  iam_instance_profile {
    arn = aws_iam_instance_profile.node.arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 2 # pods are one hop behind the node
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = var.volume_size
      encrypted             = true
      delete_on_termination = true
    }
  }

  user_data = base64encode(join("", [
    templatefile("${path.module}/user-data.tftpl", {
      ClusterName          = var.cluster_name
      ApiServerEndpoint    = var.api_server_endpoint
      CertificateAuthority = var.certificate_authority
      ServiceCidr          = var.service_cidr
      DrainSeconds         = var.drain_seconds
      MaxPodsSetting       = var.max_pods != 0 ? "maxPods: ${var.max_pods}" : ""
      NodeLabels           = join(",", [for key, value in var.node_labels : "${key}=${value}"])
      TaintsFlag           = length(local.taints) > 0 ? "- --register-with-taints=${join(",", local.taints)}" : ""
      MoreParts = join("", [
        var.node_config != "" ? "--PART\nContent-Type: application/node.eks.aws\n\n${var.node_config}\n\n" : "",
        var.boot_script != "" ? "--PART\nContent-Type: text/x-shellscript; charset=\"us-ascii\"\n\n#!/usr/bin/bash\n${var.boot_script}\n\n" : "",
      ])
      Subnets = join(",", var.zone1_eni_subnets)
    }),
    file("${path.module}/boot.sh"),
  ]))

  lifecycle {
    precondition {
      condition     = data.aws_subnet.node["zone1"].availability_zone != data.aws_subnet.node["zone2"].availability_zone
      error_message = "zone1_node_subnet and zone2_node_subnet must be in different zones."
    }
    precondition {
      condition     = alltrue([for it in data.aws_subnet.zone1_eni : it.availability_zone == data.aws_subnet.node["zone1"].availability_zone])
      error_message = "Every subnet of zone1_eni_subnets must be in the zone of zone1_node_subnet."
    }
    precondition {
      condition     = alltrue([for it in data.aws_subnet.zone2_eni : it.availability_zone == data.aws_subnet.node["zone2"].availability_zone])
      error_message = "Every subnet of zone2_eni_subnets must be in the zone of zone2_node_subnet."
    }
    precondition {
      condition     = alltrue([for it in concat(values(data.aws_subnet.node), data.aws_subnet.zone1_eni, data.aws_subnet.zone2_eni) : it.vpc_id == var.vpc_id])
      error_message = "Every subnet must be in the VPC vpc_id."
    }
    precondition {
      condition     = length(var.zone1_eni_subnets) == length(var.zone2_eni_subnets)
      error_message = "zone1_eni_subnets and zone2_eni_subnets must be as many."
    }
    precondition {
      condition     = var.nodes_per_zone <= var.max_nodes_per_zone
      error_message = "nodes_per_zone must not be above max_nodes_per_zone."
    }
  }
}

resource "aws_autoscaling_group" "zone" {
  for_each            = local.groups
  name                = each.key
  vpc_zone_identifier = [each.value.node]
  min_size            = var.nodes_per_zone
  max_size            = var.max_nodes_per_zone

  launch_template {
    id      = aws_launch_template.node.id
    version = aws_launch_template.node.latest_version
  }

  initial_lifecycle_hook {
    name                 = "attach-enis"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    heartbeat_timeout    = 600 # beyond the function's own limit for a launch
    default_result       = "ABANDON"
  }

  initial_lifecycle_hook {
    name                 = "drain"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = 900 # as long as the function may run
    default_result       = "CONTINUE"
  }

  dynamic "tag" {
    for_each = {
      "Name"                                      = each.key
      "vipmanager/node-group"                     = var.name
      "kubernetes.io/cluster/${var.cluster_name}" = "owned"
    }

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  timeouts {
    delete = "30m" # leaving nodes drain first
  }

  # The function must be called for the first instance too, and for the last one.
  depends_on = [
    aws_cloudwatch_event_target.lifecycle,
    aws_lambda_permission.lifecycle,
    aws_iam_role_policy.attach,
    aws_iam_role_policy_attachment.node,
    aws_eks_access_entry.node,
    aws_vpc_security_group_egress_rule.node,
    aws_vpc_security_group_ingress_rule.nodes_to_control_plane,
    aws_vpc_security_group_ingress_rule.nodes_to_nodes,
    aws_vpc_security_group_ingress_rule.kubelet,
    aws_vpc_security_group_ingress_rule.extension,
  ]
}
