"""The C++ sources as package data, so that an installed minigan can show them; files("minigan.csrc") finds them."""
