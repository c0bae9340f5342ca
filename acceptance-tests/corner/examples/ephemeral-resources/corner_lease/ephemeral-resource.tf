ephemeral "corner_lease" "example" {
  purpose = "example"
  holds   = "30s"
}

resource "corner_secret" "example" {
  user                = "ada"
  password_wo         = ephemeral.corner_lease.example.token
  password_wo_version = 1
}
