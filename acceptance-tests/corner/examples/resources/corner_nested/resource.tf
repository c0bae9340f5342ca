resource "corner_nested" "example" {
  single = {
    name  = "one"
    inner = { text = "inside" }

    by_name = {
      first = { rest = [{ value = "deep" }, { enabled = false }] }
    }
  }

  list = [{ name = "a" }, { name = "b", note = "second" }]
  map  = { c = { name = "c" } }
  deep = [[{ x = 1 }], []]
}
