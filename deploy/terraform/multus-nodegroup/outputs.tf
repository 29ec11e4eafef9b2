output "node_role_arn" {
  description = "For the aws-auth ConfigMap of a cluster without access entries."
  value       = aws_iam_role.node.arn
}

output "node_security_group" {
  value = aws_security_group.node.id
}

output "zone1_group" {
  value = aws_autoscaling_group.zone["${var.name}-zone1"].name
}

output "zone2_group" {
  value = aws_autoscaling_group.zone["${var.name}-zone2"].name
}
