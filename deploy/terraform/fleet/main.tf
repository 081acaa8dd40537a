# A fleet with skewguard: a launch template whose instances install it at their first boot, the document by which it is
# upgraded, checked and removed, and an association that keeps it on the instances that are there already.

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

module "user_data" {
  source = "../user-data"

  release       = var.release
  sum           = var.sum
  configuration = var.configuration
}

resource "aws_launch_template" "this" {
  name_prefix   = "skewguard-"
  image_id      = var.image
  instance_type = var.instance_type
  user_data     = base64encode(module.user_data.user_data)

  iam_instance_profile {
    arn = var.instance_profile
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

# Attach it to the role of the instance profile.
resource "aws_iam_policy" "release" {
  name_prefix = "skewguard-release-"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "arn:${data.aws_partition.this.partition}:s3:::${trimprefix(var.release, "s3://")}/*"
    }]
  })
}

data "aws_partition" "this" {}

resource "aws_ssm_document" "this" {
  name            = "skewguard"
  document_type   = "Command"
  document_format = "YAML"
  content         = file("${path.module}/../../aws/ssm/command.yaml")
}

resource "aws_ssm_association" "this" {
  name                = aws_ssm_document.this.name
  association_name    = "skewguard"
  schedule_expression = "rate(1 day)"
  max_concurrency     = "10%"
  max_errors          = "1%"

  parameters = {
    Action        = "install"
    Release       = var.release
    Sum           = var.sum
    Configuration = base64encode(var.configuration)
  }

  targets {
    key    = "tag:skewguard"
    values = ["yes"]
  }
}
