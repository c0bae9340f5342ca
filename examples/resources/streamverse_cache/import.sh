terraform import streamverse_cache.main main
