#include "store/search_query.h"

#include <array>

#include <sqlite3.h>

#include "base/utf8.h"

namespace escribano {
namespace {

constexpr std::size_t kMaxBytes = 4096;

// The tokenizer of the index, which alone knows what is a letter.
class Tokenizer {
 public:
  static Result<Tokenizer> make(const Database& database) {
    fts5_api* api = nullptr;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database.handle(), "SELECT fts5(?1)", -1, &statement, nullptr) == SQLITE_OK) {
      sqlite3_bind_pointer(statement, 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
      sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    Tokenizer made;
    void* context = nullptr;
    std::array<const char*, 2> arguments = {"remove_diacritics", "2"};
    if (api == nullptr || api->xFindTokenizer(api, "unicode61", &context, &made.functions_) != SQLITE_OK ||
        made.functions_.xCreate(context, arguments.data(), static_cast<int>(arguments.size()), &made.tokenizer_) !=
            SQLITE_OK) {
      return fail(Errc::unsupported, "this SQLite ({}) has no tokenizer unicode61; install one that has it",
                  sqlite3_libversion());
    }
    return made;
  }
  Tokenizer(Tokenizer&& other) noexcept
      : functions_(other.functions_), tokenizer_(std::exchange(other.tokenizer_, nullptr)) {}
  Tokenizer& operator=(Tokenizer&&) = delete;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  ~Tokenizer() {
    if (tokenizer_ != nullptr) functions_.xDelete(tokenizer_);
  }

  bool finds_word(std::string_view text) const {
    bool found = false;
    const auto note = [](void* context, int, const char*, int, int, int) {
      *static_cast<bool*>(context) = true;
      return SQLITE_OK;
    };
    functions_.xTokenize(tokenizer_, &found, FTS5_TOKENIZE_QUERY, text.data(), static_cast<int>(text.size()), note);
    return found;
  }

 private:
  Tokenizer() = default;
  fts5_tokenizer functions_ = {};
  Fts5Tokenizer* tokenizer_ = nullptr;
};

bool is_space(char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; }

std::string phrase(std::string_view word) {
  std::string quoted = "\"";
  for (const char c : word) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + '"';
}

}  // namespace

Result<std::string> search_query(const Database& database, std::string_view words) {
  if (words.size() > kMaxBytes) {
    return fail(Errc::too_large, "a search of {} bytes is too long; {} are allowed", words.size(), kMaxBytes);
  }
  ESCRIBANO_TRY(const Tokenizer tokenizer, Tokenizer::make(database));
  const std::string text = to_valid_utf8(words);
  std::string query;
  for (std::size_t start = 0; start < text.size();) {
    std::size_t end = start;
    while (end < text.size() && !is_space(text[end])) ++end;
    const std::string_view word = std::string_view(text).substr(start, end - start);
    start = end + 1;
    if (!tokenizer.finds_word(word)) continue;
    if (!query.empty()) query += ' ';
    query += phrase(word);
    if (word.ends_with('*')) query += " *";
  }
  if (query.empty()) return fail(Errc::invalid_argument, "there is no word to search for in \"{}\"", text);
  return query;
}

}  // namespace escribano
