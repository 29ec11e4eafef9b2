# The function that attaches an ENI of each given subnet to a new node, and lets a leaving one drain.

resource "aws_iam_role" "attach" {
  name_prefix = "${substr(var.name, 0, 30)}-attach-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "attach" {
  name = "attach-enis"
  role = aws_iam_role.attach.id
  policy = templatefile("${path.module}/attach-enis.json.tftpl", {
    Partition    = data.aws_partition.this.partition
    Region       = data.aws_region.this.id
    AccountId    = data.aws_caller_identity.this.account_id
    StackName    = var.name
    VpcId        = var.vpc_id
    AttachLogArn = "${aws_cloudwatch_log_group.attach.arn}:*"
  })
}

resource "aws_cloudwatch_log_group" "attach" {
  name_prefix       = "${var.name}-attach-enis-"
  retention_in_days = 90
}

resource "aws_lambda_function" "attach" {
  function_name    = "${var.name}-attach-enis"
  description      = "attaches ENIs to new nodes of the group, and lets leaving ones drain"
  filename         = "${path.module}/attach-enis.zip"
  source_code_hash = filebase64sha256("${path.module}/attach-enis.zip")
  runtime          = "python3.13"
  handler          = "index.handler"
  role             = aws_iam_role.attach.arn
  timeout          = 900 # a drain may take most of it
  memory_size      = 256

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.attach.name
  }

  environment {
    variables = {
      NODE_GROUP            = var.name
      SUBNETS               = jsonencode({ for name, zone in local.groups : name => join(",", zone.enis) })
      SECURITY_GROUPS       = length(var.eni_security_groups) > 0 ? join(",", var.eni_security_groups) : aws_security_group.node.id
      EXTRA_SECURITY_GROUPS = jsonencode({ for name, zone in local.groups : name => join(",", zone.extra) })
      ADDRESSES             = var.eni_addresses
      TAGS                  = join(",", [for key, value in var.eni_tags : "${key}=${value}"])
      DRAIN_SECONDS         = var.drain_seconds
    }
  }
}

# The groups' names are known, so that the rule can be there before them.
resource "aws_cloudwatch_event_rule" "lifecycle" {
  name_prefix = "${substr(var.name, 0, 30)}-"
  description = "launches and terminations in the node group"
  event_pattern = jsonencode({
    source = ["aws.autoscaling"]
    detail-type = [
      "EC2 Instance-launch Lifecycle Action",
      "EC2 Instance-terminate Lifecycle Action",
    ]
    detail = { AutoScalingGroupName = keys(local.groups) }
  })
}

resource "aws_cloudwatch_event_target" "lifecycle" {
  rule      = aws_cloudwatch_event_rule.lifecycle.name
  target_id = "attach-enis"
  arn       = aws_lambda_function.attach.arn
}

resource "aws_lambda_permission" "lifecycle" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.attach.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.lifecycle.arn
}
