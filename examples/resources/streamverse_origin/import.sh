terraform import streamverse_origin.main main
