#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/signals.h"
#include "cli/library.h"
#include "cli/models_command.h"
#include "cli/services.h"
#include "cli/terminal.h"
#include "format/score.h"

namespace escribano::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxFrames = 10'000;
constexpr std::uint64_t kMaxTruthBytes = 64U << 20;

struct CheckArguments {
  std::string model;
  std::string folder;  // empty: the frames that come with the program
  std::string reference;
  double min_accuracy = 0;  // per cent
  int batch_size = 0;       // 0: from the settings
  bool json = false;
};

struct KnownFrame {
  fs::path path;
  std::optional<Description> truth;
};

Result<Description> read_truth(const nlohmann::json& entry, const std::string& where) {
  Description truth;
  const auto text = [&](const char* key, std::string& out) -> Status {
    if (!entry.is_object() || !entry.contains(key) || !entry[key].is_string()) {
      return fail(Errc::corrupt, "{}: {} must be a text", where, key);
    }
    out = entry[key].get<std::string>();
    return {};
  };
  ESCRIBANO_CHECK(text("description", truth.description));
  ESCRIBANO_CHECK(text("activity", truth.activity));
  const auto is_text = [](const nlohmann::json& item) { return item.is_string(); };
  if (!entry.contains("apps") || !entry["apps"].is_array() || !std::ranges::all_of(entry["apps"], is_text)) {
    return fail(Errc::corrupt, "{}: apps must be a list of texts", where);
  }
  truth.apps = entry["apps"].get<std::vector<std::string>>();
  return truth;
}

// The truth of each picture, by its name: FOLDER/truth.json, or FOLDER.truth.json beside the folder. Nothing where there is
// neither.
Result<std::map<std::string, Description>> read_truths(const fs::path& folder) {
  std::map<std::string, Description> truths;
  fs::path plain = folder;
  if (!plain.has_filename()) plain = plain.parent_path();
  for (const fs::path& path : {folder / "truth.json", fs::path(plain.native() + ".truth.json")}) {
    const auto text = read_text_file(path, kMaxTruthBytes);
    if (!text && text.error().code == Errc::not_found) continue;
    if (!text) return fail(text.error());
    const auto document = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object() || !document.contains("frames") || !document["frames"].is_object()) {
      return fail(Errc::corrupt, "{} is no JSON object with \"frames\"", printable(path));
    }
    for (const auto& [name, entry] : document["frames"].items()) {
      ESCRIBANO_TRY(truths[name], read_truth(entry, fmt::format("{}: {}", printable(path), printable(name))));
    }
    break;
  }
  return truths;
}

bool is_picture(const fs::path& path) {
  std::string extension = path.extension().native();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".webp";
}

// The pictures of a folder by name: those with a truth, or all where none is known.
Result<std::vector<KnownFrame>> read_frames(const fs::path& folder) {
  ESCRIBANO_TRY(const auto truths, read_truths(folder));
  std::vector<KnownFrame> frames;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto truth = truths.find(it->path().filename().native());
    if (!is_picture(it->path()) || (!truths.empty() && truth == truths.end())) continue;
    if (frames.size() == kMaxFrames)
      return fail(Errc::too_large, "{} holds over {} pictures", printable(folder), kMaxFrames);
    frames.push_back({.path = it->path(), .truth = std::nullopt});
    if (truth != truths.end()) frames.back().truth = truth->second;
  }
  if (error) return fail(Errc::not_found, "{} cannot be listed: {}", printable(folder), error.message());
  if (frames.empty()) return fail(Errc::not_found, "{} holds no picture with a truth", printable(folder));
  std::ranges::sort(frames, {}, &KnownFrame::path);
  return frames;
}

// What a model makes of the frames.
struct Answers {
  std::string model;
  std::vector<FrameResult> results;  // one a frame
  double seconds = 0;                // a frame, loading not included
};

Result<Answers> ask(const std::string& model, const std::vector<KnownFrame>& known, const CheckArguments& check,
                    Settings settings, const Environment& environment) {
  VlmArguments arguments;
  arguments.model = model;
  arguments.in_process = true;
  settings.vlm.set(BackendKind::native, "models check");
  settings.reuse.set(ReuseKind::none, "models check");  // each frame is to go through the model, as a whole
  settings.patches.set(PatchKind::all, "models check");
  if (check.batch_size > 0) settings.vlm_batch_size.set(check.batch_size, "--batch-size");
  ESCRIBANO_CHECK(apply(arguments, settings));
  std::vector<Frame> frames;
  frames.reserve(known.size());
  for (const KnownFrame& frame : known) {
    frames.push_back({.path = frame.path, .timestamp_s = static_cast<double>(frames.size())});
  }
  VlmUse use = {.frames = frames.size()};
  use.options.batch_size = settings.vlm_batch_size.value;
  use.options.max_tokens = settings.vlm_max_tokens.value;
  ESCRIBANO_TRY(const ChosenService chosen, make_vlm_service(arguments, use, settings, environment));
  std::stop_source stop;
  use.options.stop = stop.get_token();
  ESCRIBANO_TRY(const SignalWatcher signals,
                SignalWatcher::start({SIGINT, SIGTERM}, [&](int) { stop.request_stop(); }));
  ProgressBar bar(frames.size());
  const auto begin = std::chrono::steady_clock::now();
  DescribeOutcome outcome = chosen.service->describe_images(
      frames, use.options, [&](const FrameResult&, const Progress& progress) { bar.update(progress.current); });
  ESCRIBANO_CHECK(outcome.status);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return Answers{.model = chosen.model,
                 .results = std::move(outcome.results),
                 .seconds = elapsed.count() / static_cast<double>(frames.size())};
}

Description description_of(const FrameResult& result) {
  return {result.description, result.activity, result.apps, result.topics};
}

std::string text_of(const FrameResult& result) {
  if (result.error) return "";
  return result.raw_response ? *result.raw_response : to_line(description_of(result));
}

struct Totals {
  std::size_t frames = 0;
  std::size_t known = 0;  // with a truth
  std::size_t parsed = 0;
  std::size_t cut = 0;  // by the token limit, or in a loop
  std::size_t failed = 0;
  std::size_t activity = 0;
  std::size_t apps = 0;
  std::size_t right = 0;  // activity and apps
  double apps_f1 = 0;     // sums
  double description = 0;

  double accuracy() const { return known == 0 ? 0 : 100.0 * static_cast<double>(right) / static_cast<double>(known); }
  double mean(double sum) const { return known == 0 ? 0 : sum / static_cast<double>(known); }
};

Totals score(const std::vector<KnownFrame>& frames, const Answers& answers) {
  Totals totals = {.frames = frames.size()};
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const FrameResult& result = answers.results[i];
    const bool parsed = result.status() == FrameStatus::described;
    totals.parsed += parsed ? 1 : 0;
    totals.failed += result.error ? 1 : 0;
    totals.cut += !result.error && result.stats.finish_reason != "stop" ? 1 : 0;
    if (!frames[i].truth) continue;
    ++totals.known;
    if (!parsed) continue;
    const AnswerScore one = score_answer(description_of(result), *frames[i].truth);
    totals.activity += one.activity ? 1 : 0;
    totals.apps += one.apps ? 1 : 0;
    totals.right += one.activity && one.apps ? 1 : 0;
    totals.apps_f1 += one.apps_f1;
    totals.description += one.description;
  }
  return totals;
}

struct Comparison {
  std::size_t texts = 0;  // equal; so the other counts
  std::size_t descriptions = 0;
  std::size_t activities = 0;
  std::size_t apps = 0;
  std::size_t topics = 0;
  std::vector<std::pair<std::string, TextDifference>> differences;  // the picture, and where its texts part
};

Comparison compare(const std::vector<KnownFrame>& frames, const Answers& answers, const Answers& reference) {
  Comparison comparison;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const FrameResult& ours = answers.results[i];
    const FrameResult& theirs = reference.results[i];
    comparison.descriptions += ours.description == theirs.description ? 1 : 0;
    comparison.activities += ours.activity == theirs.activity ? 1 : 0;
    comparison.apps += ours.apps == theirs.apps ? 1 : 0;
    comparison.topics += ours.topics == theirs.topics ? 1 : 0;
    const auto difference = first_difference(text_of(ours), text_of(theirs));
    comparison.texts += difference ? 0 : 1;
    if (difference) comparison.differences.emplace_back(printable(frames[i].path.filename()), *difference);
  }
  return comparison;
}

std::string share(std::size_t part, std::size_t whole) {
  return fmt::format("{} of {} ({:.1f} %)", part, whole,
                     whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string totals_text(const Answers& answers, const Totals& totals) {
  std::string text = fmt::format("{}\n  in the right form    {}\n", answers.model, share(totals.parsed, totals.frames));
  if (totals.known > 0) {
    text += fmt::format("  activity and apps    {}\n  activity             {}\n  apps, in order       {}\n",
                        share(totals.right, totals.known), share(totals.activity, totals.known),
                        share(totals.apps, totals.known));
    text += fmt::format("  apps, F1             {:.3f}\n  description, F1      {:.3f}\n", totals.mean(totals.apps_f1),
                        totals.mean(totals.description));
  }
  return text +
         fmt::format("  cut off or in loops  {}\n  failed               {}\n  time                 {:.2f} s a frame\n",
                     totals.cut, totals.failed, answers.seconds);
}

std::string comparison_text(const Comparison& comparison, const std::string& reference, std::size_t frames) {
  std::string text = fmt::format("As {}\n  texts                {}\n", reference, share(comparison.texts, frames));
  text += fmt::format("  descriptions         {}\n  activities           {}\n  apps                 {}\n",
                      share(comparison.descriptions, frames), share(comparison.activities, frames),
                      share(comparison.apps, frames));
  text += fmt::format("  topics               {}\n", share(comparison.topics, frames));
  for (const auto& [name, difference] : comparison.differences) {
    text += fmt::format("  {}: word {} is '{}' where the reference has '{}'\n", name, difference.word, difference.left,
                        difference.right);
  }
  return text;
}

Json totals_json(const Answers& answers, const Totals& totals) {
  Json json = {{"model", answers.model},  {"frames", totals.frames},   {"with_truth", totals.known},
               {"parsed", totals.parsed}, {"cut_or_loop", totals.cut}, {"failed", totals.failed}};
  if (totals.known > 0) {
    json["accuracy"] = totals.accuracy();
    json["right"] = totals.right;
    json["activity"] = totals.activity;
    json["apps"] = totals.apps;
    json["apps_f1"] = totals.mean(totals.apps_f1);
    json["description_f1"] = totals.mean(totals.description);
  }
  json["seconds_per_frame"] = answers.seconds;
  return json;
}

Json comparison_json(const Comparison& comparison) {
  Json differences = Json::array();
  for (const auto& [name, difference] : comparison.differences) {
    differences.push_back(
        {{"frame", name}, {"word", difference.word}, {"model", difference.left}, {"reference", difference.right}});
  }
  return {{"texts", comparison.texts},           {"descriptions", comparison.descriptions},
          {"activities", comparison.activities}, {"apps", comparison.apps},
          {"topics", comparison.topics},         {"differences", differences}};
}

Result<ExitCode> check(const CheckArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  const fs::path folder =
      arguments.folder.empty() ? self_check_picture(environment).parent_path() : fs::path(arguments.folder);
  ESCRIBANO_TRY(const std::vector<KnownFrame> frames, read_frames(folder));
  if (!frames.front().truth && arguments.reference.empty()) {
    return fail(Errc::not_found, "{} has no truth.json to compare with, and no --reference was given",
                printable(folder));
  }
  ESCRIBANO_TRY(const Answers answers, ask(arguments.model, frames, arguments, settings, environment));
  const Totals totals = score(frames, answers);
  std::string text = totals_text(answers, totals);
  Json json = {{"schema", 1}, {"check", totals_json(answers, totals)}};
  if (!arguments.reference.empty()) {
    ESCRIBANO_TRY(const Answers reference, ask(arguments.reference, frames, arguments, settings, environment));
    const Totals reference_totals = score(frames, reference);
    const Comparison comparison = compare(frames, answers, reference);
    text += totals_text(reference, reference_totals) + comparison_text(comparison, reference.model, frames.size());
    json["reference"] = totals_json(reference, reference_totals);
    json["equal"] = comparison_json(comparison);
  }
  ESCRIBANO_CHECK(print_out(arguments.json ? json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n" : text));
  if (totals.accuracy() < arguments.min_accuracy) {
    return fail(Errc::model_invalid,
                "activity and apps are right in {:.1f} % of the frames; at least {:g} % are wanted", totals.accuracy(),
                arguments.min_accuracy);
  }
  return ExitCode::done;
}

}  // namespace

void add_models_check(CLI::App& models, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<CheckArguments>();
  CLI::App* command = models.add_subcommand("check", "How good a model is at frames whose truth is known");
  command->footer(
      "FRAMES_DIR holds pictures and a truth.json (docs/models.md); without it, frames of the bundled sample recording "
      "are "
      "taken. The model runs in this process, and every frame goes through it.\n\n"
      "Example:\n  escribano models check org/name:Q4_K_M --reference org/name:F16");
  command->add_option("MODEL", arguments->model, "As for --model of other commands")->required();
  command->add_option("FRAMES_DIR", arguments->folder, "Pictures whose truth is known");
  command->add_option("--reference", arguments->reference, "Another model, to say where their texts differ")
      ->option_text("MODEL");
  command
      ->add_option("--min-accuracy", arguments->min_accuracy,
                   "Fail where activity and apps are right in fewer frames, in per cent")
      ->check(CLI::Range(0.0, 100.0))
      ->option_text("X");
  command->add_option("--batch-size", arguments->batch_size, "Frames at once (default: 4, or ESCRIBANO_VLM_BATCH_SIZE)")
      ->check(CLI::Range(1, 255))
      ->option_text("N");
  command->add_flag("--json", arguments->json, "Print one JSON object");
  command->callback([arguments, environment, &exit_code] { exit_code = exit_with(check(*arguments, environment)); });
}

}  // namespace escribano::cli
