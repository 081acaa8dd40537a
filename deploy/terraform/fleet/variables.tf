variable "release" {
  description = "The folder of a release in S3, such as s3://example-releases/skewguard/0.1.0."
  type        = string
}

variable "sum" {
  description = "The SHA-256 of SHA256SUMS in that folder."
  type        = string
}

variable "configuration" {
  description = "What /etc/skewguard/skewguard.yaml says. Empty for the defaults, which are right on EC2."
  type        = string
  default     = ""
}

variable "image" {
  description = "The image of the instances: Amazon Linux 2023, Debian, Ubuntu, or any other with systemd and cloud-init."
  type        = string
}

variable "instance_type" {
  description = "The type of the instances."
  type        = string
  default     = "m7g.large"
}

variable "instance_profile" {
  description = "The ARN of the instance profile, whose role may read the release."
  type        = string
}
