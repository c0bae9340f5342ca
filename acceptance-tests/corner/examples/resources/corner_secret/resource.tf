# With Terraform 1.11, OpenTofu 1.11 or later:
#
#   password_wo         = var.password # an ephemeral variable
#   password_wo_version = 1            # raised whenever the password changes
#
# With every version, by reference:
resource "corner_secret" "example" {
  user         = "ada"
  password_ref = "env:CORNER_PASSWORD"
}
