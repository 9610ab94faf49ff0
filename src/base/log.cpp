#include "base/log.h"

#include <exception>
#include <memory>
#include <mutex>
#include <string>

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/file.h"

namespace escribano::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    case Level::off: return spdlog::level::off;
  }
  return spdlog::level::off;
}

constexpr char kPattern[] = "%Y-%m-%d %H:%M:%S.%e %l [%n] %v";

// A file as long as it takes lines; then standard error. spdlog's own answer to a file that fails is to drop the line.
class FileOrStderrSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  FileOrStderrSink(const FileTarget& target, std::string_view tag) : path_(target.path), tag_(tag) {
    try {
      constexpr std::size_t kOldFiles = 1;
      file_ = std::make_unique<spdlog::sinks::rotating_file_sink_st>(target.path.native(), target.max_bytes, kOldFiles);
    } catch (const std::exception& problem) {
      give_up(problem);
    }
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (file_ != nullptr) {
      try {
        file_->log(message);
        file_->flush();  // only now it is known whether the disk had room
        return;
      } catch (const std::exception& problem) {
        give_up(problem);
      }
    }
    stderr_.log(message);
  }

  void flush_() override { stderr_.flush(); }

  void set_pattern_(const std::string& pattern) override {
    set_formatter_(std::make_unique<spdlog::pattern_formatter>(pattern));
  }

  void set_formatter_(std::unique_ptr<spdlog::formatter> formatter) override {
    if (file_ != nullptr) file_->set_formatter(formatter->clone());
    stderr_.set_formatter(std::move(formatter));
  }

 private:
  void give_up(const std::exception& problem) {
    file_.reset();
    const std::string text = fmt::format("the log file {} cannot be written ({}); the log goes to standard error",
                                         printable(path_), problem.what());
    stderr_.set_pattern(kPattern);  // init() may not have come to it yet
    stderr_.log(spdlog::details::log_msg(tag_, spdlog::level::warn, text));
  }

  std::filesystem::path path_;
  std::string tag_;
  std::unique_ptr<spdlog::sinks::rotating_file_sink_st> file_;
  spdlog::sinks::stderr_sink_st stderr_;
};

std::shared_ptr<spdlog::logger> make_logger(std::string_view tag, Level level, const std::optional<FileTarget>& file) {
  spdlog::sink_ptr sink;
  if (file) {
    sink = std::make_shared<FileOrStderrSink>(*file, tag);
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  auto logger = std::make_shared<spdlog::logger>(std::string(tag), std::move(sink));
  logger->set_pattern(kPattern);
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::debug);
  return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger("VLM", Level::warn, std::nullopt);
  return instance;
}

}  // namespace

void init(std::string_view tag, Level level, const std::optional<FileTarget>& file) {
  logger() = make_logger(tag, level, file);
}

bool enabled(Level level) noexcept { return logger()->should_log(to_spdlog(level)); }

void write(Level level, std::string_view text) {
  logger()->log(to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace escribano::log
