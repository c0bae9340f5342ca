resource "corner_protected" "example" {
  region              = "here"
  copies              = 3
  deletion_protection = false # set to true, apply, and nobody destroys it by accident
}
