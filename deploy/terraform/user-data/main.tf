# User data that installs skewguard at the first boot of an instance. No provider and no account are needed to render it.

terraform {
  required_version = ">= 1.6"
}

locals {
  key           = var.repository == "" ? "" : base64encode(var.keyring)
  configuration = var.configuration == "" ? "" : base64encode(var.configuration)
  script        = file("${path.module}/../../aws/user-data/script.sh")
  # No value has an @ in it, so that none becomes the place of another.
  from_repository = replace(replace(local.script, "@REPOSITORY@", var.repository), "@KEY@", local.key)
  from_release    = replace(replace(local.from_repository, "@RELEASE@", var.release), "@SUM@", var.sum)
  configured      = replace(local.from_release, "@CONFIGURATION@", local.configuration)
  user_data       = replace(local.configured, "@PARAMETER@", var.parameter)
}
