resource "corner_thing" "example" {
  name = "x"
}

data "corner_thing" "example" {
  id = corner_thing.example.id
}

output "size" {
  value = data.corner_thing.example.size
}
