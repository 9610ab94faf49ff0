#include "store/store_fixture.h"

namespace escribano {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Search : public StoreTest {
 protected:
  // One recording with a frame a second, described by these.
  void describe(const std::string& id, const std::vector<Observation>& observations) {
    std::vector<SampledFrame> frames;
    for (const Observation& observation : observations) frames.push_back(sampled_frame(observation.timestamp_s, "h"));
    add_sampled(id, frames);
    succeed(store().save_observations(id, observations));
  }
  std::vector<double> times(const std::string& words, const SearchOptions& options = {}) {
    std::vector<double> found;
    for (const SearchHit& hit : value_of(store().search(words, options))) found.push_back(hit.observation.timestamp_s);
    return found;
  }
};

TEST_F(Search, FindsWordsOfDescriptionsAppsAndTopics) {
  describe(id_, {described(0, 0, "Editing the parser", {"VS Code"}, {"tokenizer"}),
                 described(1, 1, "Reading mail", {"Mail"})});
  EXPECT_THAT(times("parser"), ElementsAre(0));
  EXPECT_THAT(times("code"), ElementsAre(0));
  EXPECT_THAT(times("tokenizer"), ElementsAre(0));
  EXPECT_THAT(times("MAIL"), ElementsAre(1));
  EXPECT_THAT(times("coding"), IsEmpty());  // an activity is no word
  const SearchHit hit = value_of(store().search("parser", {})).at(0);
  EXPECT_EQ(hit.recording_id, id_);
  EXPECT_EQ(hit.path, recording_info(id_).path.native());
  EXPECT_EQ(hit.observation, described(0, 0, "Editing the parser", {"VS Code"}, {"tokenizer"}));
}

TEST_F(Search, TheMarksOfStoredListsAreNoWords) {
  describe(id_, {described(0, 0, "x", {"C:\\new\\table", "line\nbreak\ttab", "\"quoted\"", "bytes \xff"}, {"a\\\\n"})});
  for (const std::string word : {"new", "table", "c:\\new\\table", "line", "break", "tab", "quoted", "n"}) {
    EXPECT_THAT(times(word), ElementsAre(0)) << word;
  }
  for (const std::string word : {"nbreak", "ttab", "ew", "hex"}) EXPECT_THAT(times(word), IsEmpty()) << word;
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(Search, AllWordsMustBeThereInAnyField) {
  describe(id_, {described(0, 0, "Editing the parser", {"VS Code"}), described(1, 1, "Editing mail", {"Mail"})});
  EXPECT_THAT(times("code parser"), ElementsAre(0));
  EXPECT_THAT(times("mail parser"), IsEmpty());
  EXPECT_THAT(times("  editing\t\n"), ElementsAre(1, 0));
}

TEST_F(Search, CaseAndAccentsDoNotMatter) {
  describe(id_, {described(0, 0, "Übersicht in der Straße, café ΑΘΗΝΑ")});
  for (const std::string word : {"ubersicht", "ÜBERSICHT", "übersicht", "cafe", "CAFÉ", "αθηνα", "straße"}) {
    EXPECT_THAT(times(word), ElementsAre(0)) << word;
  }
}

TEST_F(Search, AStarAtTheEndOfAWordStandsForItsBeginning) {
  describe(id_, {described(0, 0, "debugging main.cpp"), described(1, 1, "debug output")});
  EXPECT_THAT(times("debug"), ElementsAre(1));
  EXPECT_THAT(times("d*"), ElementsAre(1, 0));
  EXPECT_THAT(times("debug*"), ElementsAre(1, 0));
  EXPECT_THAT(times("debugg* main.c*"), ElementsAre(0));
  EXPECT_THAT(times("main.cpp"), ElementsAre(0));
  EXPECT_THAT(times("cpp.main"), IsEmpty());  // the parts of a word are looked for in their order
}

TEST_F(Search, NoTextIsAnOperator) {
  describe(id_, {described(0, 0, "alpha OR beta NOT gamma NEAR AND"), described(1, 1, "alpha")});
  EXPECT_THAT(times("alpha OR"), ElementsAre(0));
  EXPECT_THAT(times("alpha NOT"), ElementsAre(0));
  EXPECT_THAT(times("beta OR alpha"), ElementsAre(0));
  EXPECT_THAT(times("\"alpha"), ElementsAre(1, 0));
  EXPECT_THAT(times("description:alpha"), IsEmpty());  // a word of two parts, which is nowhere
  EXPECT_THAT(times("(alpha)"), ElementsAre(1, 0));
  EXPECT_THAT(times("^alpha"), ElementsAre(1, 0));
  EXPECT_THAT(times("-alpha + {beta}"), ElementsAre(0));
  for (const std::string& text :
       {std::string("\"\"\"a\"\"\""), std::string("a\" OR \"b"), std::string("NEAR(alpha beta, 5)"),
        std::string("a'b;--"), std::string("alpha\0\" OR *", 13), std::string("\xff\xfe alpha"),
        std::string("{x y}: a"), std::string("a AND NOT"), std::string(4096, '"'), std::string("words MATCH 'x'"),
        std::string("alpha** **b a*b*")}) {
    const auto found = store().search(text, {});
    EXPECT_TRUE(found || found.error().code == Errc::invalid_argument) << text;
  }
}

TEST_F(Search, ATextWithoutAWordIsRefused) {
  describe(id_, {described(0, 0, "alpha")});
  for (const std::string text : {"", "  ", "*", "...", "\"\"", "( )", "\xe2\x80\xa6", "\xff"}) {
    const auto found = store().search(text, {});
    ASSERT_FALSE(found) << text;
    EXPECT_EQ(found.error().code, Errc::invalid_argument) << text;
  }
  EXPECT_THAT(times("\xe2\x80\xa6 - alpha ..."), ElementsAre(0));  // beside a word they are passed over
  EXPECT_EQ(store().search(std::string(5'000, 'a'), {}).error().code, Errc::too_large);
}

TEST_F(Search, TheBestComesFirstThenRecordingAndTime) {
  const std::string other = id_of("beef");
  describe(other,
           {described(0, 5, "alpha one two three four five six seven eight nine ten"), described(1, 6, "alpha alpha")});
  describe(id_, {described(0, 3, "alpha alpha"), described(1, 4, "alpha alpha")});
  EXPECT_THAT(times("alpha"), ElementsAre(6, 3, 4, 5));
}

TEST_F(Search, OnlyDescribedFramesAreFound) {
  add_sampled(id_, {sampled_frame(0, "a"), unchanged_frame(1, "a", 0), sampled_frame(2, "b"), sampled_frame(3, "c")});
  Observation failure = failed(2, 2);
  failure.error = failure.description = "alpha";
  Observation odd = unparsed(3, 3);
  odd.raw_response = odd.description = "alpha";
  succeed(store().save_observations(id_, std::vector{described(0, 0, "alpha"), failure, odd}));
  EXPECT_THAT(times("alpha"), ElementsAre(0));
}

TEST_F(Search, CanBeLimitedInNumberAndToARecording) {
  const std::string other = id_of("beef");
  std::vector<Observation> many;
  for (int i = 0; i < 30; ++i) many.push_back(described(static_cast<std::size_t>(i), i, "alpha"));
  describe(id_, many);
  describe(other, {described(0, 100, "alpha")});
  EXPECT_EQ(times("alpha").size(), 20U);
  EXPECT_EQ(times("alpha", {1000, ""}).size(), 31U);
  EXPECT_THAT(times("alpha", {3, id_}), ElementsAre(0, 1, 2));
  EXPECT_THAT(times("alpha", {20, other}), ElementsAre(100));
  EXPECT_THAT(times("alpha", {0, ""}), IsEmpty());
}

}  // namespace
}  // namespace escribano
