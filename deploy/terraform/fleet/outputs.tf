output "launch_template" {
  description = "For an aws_autoscaling_group or an aws_instance."
  value = {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }
}

output "release_policy" {
  description = "The ARN of the policy that the role of the instance profile needs."
  value       = aws_iam_policy.release.arn
}
