resource "corner_moved" "example" {
  name = "was another type"
}
