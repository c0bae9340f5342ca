resource "corner_blocks" "example" {
  single {
    text = "at most one"
  }

  listener {
    port = 80

    route {
      prefix = "/"
    }
  }

  listener {
    port     = 443
    protocol = "https"

    route {
      prefix = "/live"
    }

    route {
      prefix = "/recorded"
    }
  }
}
