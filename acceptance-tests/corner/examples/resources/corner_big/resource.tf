resource "corner_big" "example" {
  text = join("", [for n in range(1000) : "line ${n}\n"])
  list = [for n in range(100) : { name = "item-${n}", number = n }]
}
