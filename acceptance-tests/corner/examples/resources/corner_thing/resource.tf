resource "corner_thing" "example" {
  name   = "x"
  size   = 3
  labels = { owner = "ada" }
}
