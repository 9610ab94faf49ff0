#pragma once

// What a description says about the thing that is worked on. Private to this folder.

#include <string_view>

namespace escribano {

// Whether `word` is written as names of things in computers are and ordinary words are not: "payments-api", "audit_log",
// "TablePlus", "router.go", "#backend", "v1.2", "PUT"... "side-by-side" and "Terminal" are ordinary.
bool is_identifier(std::string_view word) noexcept;
bool is_file_name(std::string_view word) noexcept;  // "router.go", "src/main.cpp"

// The project that `description` names: "the atlas-search project", "repository payments-api", "in delta-sync". A part of
// `description`; empty where it names none.
std::string_view project_in(std::string_view description);

}  // namespace escribano
