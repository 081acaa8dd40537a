variable "repository" {
  description = "A repository of your own, with apt/ and rpm/ in it. Empty for a release."
  type        = string
  default     = ""

  validation {
    condition     = var.repository == "" || can(regex("^https?://[A-Za-z0-9._~:/%+-]+[^/]$", var.repository))
    error_message = "The repository is a URL without a slash at its end, such as https://packages.example.com/skewguard."
  }
}

variable "keyring" {
  description = "Its skewguard-archive-keyring.asc, as text."
  type        = string
  default     = ""

  validation {
    condition     = var.keyring == "" || startswith(trimspace(var.keyring), "-----BEGIN PGP PUBLIC KEY BLOCK-----")
    error_message = "The keyring is the text of skewguard-archive-keyring.asc, not its path."
  }
}

variable "release" {
  description = "The folder of a release, https://… or s3://…, instead of a repository."
  type        = string
  default     = ""

  validation {
    condition     = var.release == "" || can(regex("^(https|s3)://[A-Za-z0-9._~:/%?&=+-]+[^/]$", var.release))
    error_message = "The release is an address with https:// or s3:// and without a slash at its end."
  }
}

variable "sum" {
  description = "The SHA-256 of SHA256SUMS in that folder."
  type        = string
  default     = ""

  validation {
    condition     = var.sum == "" || can(regex("^[0-9a-f]{64}$", var.sum))
    error_message = "The sum is a SHA-256: 64 digits, 0-9 and a-f."
  }
}

variable "configuration" {
  description = "What /etc/skewguard/skewguard.yaml says. Empty for the defaults, which are right on EC2."
  type        = string
  default     = ""

  validation {
    condition     = var.configuration == "" || can(keys(yamldecode(var.configuration)))
    error_message = "The configuration is a mapping in YAML."
  }
}

variable "parameter" {
  description = "The SecureString of Parameter Store that becomes /etc/skewguard/environment."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]*$", var.parameter))
    error_message = "The parameter is a name of Parameter Store."
  }
}
