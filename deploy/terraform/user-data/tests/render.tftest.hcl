variables {
  release = "s3://example-releases/skewguard/0.1.0"
  sum     = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}

run "a_release_stands_where_the_script_looks_for_it" {
  command = plan

  variables {
    configuration = "telemetry:\n  otlp: { endpoint: \"http://127.0.0.1:4318\" }\n"
  }
  assert {
    condition     = startswith(output.user_data, "#!/bin/sh\n")
    error_message = "cloud-init would not run it"
  }
  assert {
    condition     = strcontains(output.user_data, "\nSKEWGUARD_RELEASE='${var.release}' SKEWGUARD_SUM='${var.sum}'\n")
    error_message = "the release is missing"
  }
  assert {
    condition     = strcontains(output.user_data, "\nSKEWGUARD_CONFIGURATION='${base64encode(var.configuration)}' SKEWGUARD_PARAMETER=''\n")
    error_message = "the configuration is missing"
  }
  assert {
    condition     = strcontains(output.user_data, "\nSKEWGUARD_REPOSITORY='' SKEWGUARD_KEY=''\n")
    error_message = "a placeholder was left"
  }
  assert {
    condition     = strcontains(output.user_data, "main \"$${1:-$SKEWGUARD_ACTION}\"\n")
    error_message = "the script is not whole"
  }
  assert {
    condition     = replace(output.user_data, "/SKEWGUARD_[A-Z]+='[^']*'/", "") == replace(file("../../aws/user-data/script.sh"), "/SKEWGUARD_[A-Z]+='[^']*'/", "")
    error_message = "something else has changed than the values"
  }
}

run "a_repository_brings_its_keys" {
  command = plan

  variables {
    release    = ""
    sum        = ""
    repository = "https://packages.example.com/skewguard"
    keyring    = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
  }
  assert {
    condition     = strcontains(output.user_data, "\nSKEWGUARD_REPOSITORY='https://packages.example.com/skewguard' SKEWGUARD_KEY='${base64encode(var.keyring)}'\n")
    error_message = "the repository is missing"
  }
}

run "neither_source_is_refused" {
  command = plan

  variables {
    release = ""
    sum     = ""
  }
  expect_failures = [output.user_data]
}

run "both_sources_are_refused" {
  command = plan

  variables {
    repository = "https://packages.example.com/skewguard"
    keyring    = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
  }
  expect_failures = [output.user_data]
}

run "a_release_without_a_sum_is_refused" {
  command = plan

  variables {
    sum = ""
  }
  expect_failures = [output.user_data]
}

run "what_could_end_the_word_that_it_stands_in_is_refused" {
  command = plan

  variables {
    release   = "s3://x/'; id #"
    parameter = "'; id #"
  }
  expect_failures = [var.release, var.parameter]
}

run "the_path_of_a_keyring_is_refused" {
  command = plan

  variables {
    keyring = "skewguard-archive-keyring.asc"
  }
  expect_failures = [var.keyring]
}

run "a_sum_that_is_none_is_refused" {
  command = plan

  variables {
    sum = "0123"
  }
  expect_failures = [var.sum]
}

run "a_configuration_that_is_no_mapping_is_refused" {
  command = plan

  variables {
    configuration = "telemetry"
  }
  expect_failures = [var.configuration]
}
