output "user_data" {
  description = "A script for the user_data of an instance or, in base64, of a launch template."
  value       = local.user_data

  precondition {
    condition     = (var.repository == "") != (var.release == "")
    error_message = "Name a repository or a release, and not both."
  }
  precondition {
    condition     = (var.repository == "") == (var.keyring == "")
    error_message = "A repository has a keyring."
  }
  precondition {
    condition     = (var.release == "") == (var.sum == "")
    error_message = "A release has a sum."
  }
  precondition {
    condition     = length(local.user_data) <= 16384
    error_message = "User data may have 16 KiB: shorten the configuration."
  }
}
