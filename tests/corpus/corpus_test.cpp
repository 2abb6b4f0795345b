#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/corpus/check.h>
#include <polyphony/corpus/fillets.h>
#include <polyphony/corpus/manifest.h>

#include "scratch.h"

namespace polyphony::corpus {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

fs::path fresh(const std::string& name) {
  const fs::path folder = polyphony::scratch_directory() / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

void put(const fs::path& path, const std::string& text) {
  write_file(path, std::string_view(text));
}

void put_sound(const fs::path& path) {
  fs::create_directories(path.parent_path());
  fs::copy_file(fs::path(POLYPHONY_TEST_DIR) / "golden/data/sr8000_ch1.wav", path);
}

TEST(ParseDialogs, ReadsEscapesQuotesCommentsAndBrokenLines) {
  const auto dialogs = parse_dialogs(
      "-- dialogId(\"no\", \"font_big\", \"\")\n"
      "dialogId('a', \"font_small\",\n  \"it's\")\ndialogStr(\"C:\\\\W \\\"x\\\" \\65\")\n"
      "dialogId(\"alone\", \"font_big\", \"\")\n"
      "--[[ dialogStr(\"no\") ]]\ndialogId(\"b\", \"font_big\", \"\")\ndialogStr('y')\n",
      "d.lua");
  ASSERT_EQ(dialogs.size(), 2U);
  EXPECT_EQ(dialogs[0].id, "a");
  EXPECT_EQ(dialogs[0].line, 2U);
  EXPECT_EQ(dialogs[0].english, "it's");
  EXPECT_EQ(dialogs[0].text, "C:\\W \"x\" A");
  EXPECT_EQ(dialogs[1].id, "b");
  EXPECT_EQ(dialogs[1].text, "y");
}

TEST(ParseDialogs, NamesTheLineOfAnOpenString) {
  try {
    parse_dialogs("\ndialogId(\"a", "d.lua");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("d.lua:2: a string is never closed"));
  }
}

TEST(ReadFillets, KeepsALevelInOneSplitAndReportsWhatItSkips) {
  const fs::path root = fresh("fillets");
  for (const char* level : {"one", "two", "three"}) {
    for (const char* language : {"cs", "nl"}) {
      put(root / "script" / level / (std::string("dialogs_") + language + ".lua"),
          "dialogId(\"x\", \"font_big\", \"\")\ndialogStr(\"text\")\n"
          "dialogId(\"mute\", \"font_big\", \"\")\ndialogStr(\"\")\n"
          "dialogId(\"gone\", \"font_big\", \"\")\ndialogStr(\"text\")\n");
      put_sound(root / "sound" / level / language / "x.ogg");
      put_sound(root / "sound" / level / language / "mute.ogg");
    }
  }
  put(root / "sound/one/nl/x.ogg", "no sound");
  const Fillets all = read_fillets({root, FilletsLanguage::kAll});
  EXPECT_EQ(all.table.rows.size(), 5U);
  EXPECT_EQ(all.without_text, 6U);
  EXPECT_THAT(all.skipped, ElementsAre(HasSubstr("one/nl/x.ogg: cannot decode")));
  std::map<std::string, std::string> split_of;
  for (const auto& row : all.table.rows) {
    EXPECT_EQ(split_of.emplace(row[3], row[5]).first->second, row[5]);
  }
  for (const auto& row : read_fillets({root, FilletsLanguage::kDutch}).table.rows) {
    EXPECT_EQ(row[4], "nl");
    EXPECT_EQ(row[5], split_of.at(row[3]));
  }
}

TEST(ReadFillets, SaysWhatToInstall) {
  try {
    read_fillets({"/nowhere", FilletsLanguage::kAll});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.remedy(), HasSubstr("apt install fillets-ng-data"));
  }
}

TEST(ReadManifest, JoinsRelativePathsAndTakesOtherColumnNames) {
  const fs::path folder = fresh("manifest");
  put(folder / "m.csv", "total_path,text,emotion\n./a.wav,\"b\nc\",1\n/x/b.wav,,2\n");
  ManifestColumns columns;
  columns.path = "total_path";
  columns.label = "emotion";
  const Manifest manifest = read_manifest(folder / "m.csv", columns);
  ASSERT_EQ(manifest.rows.size(), 2U);
  EXPECT_EQ(manifest.rows[0].audio_path, (folder / "./a.wav").string());
  EXPECT_EQ(manifest.rows[0].label, "1");
  EXPECT_EQ(manifest.rows[1].audio_path, "/x/b.wav");
  EXPECT_EQ(manifest.rows[1].line, 4U);
}

TEST(ReadManifest, NamesTheColumnsThereAre) {
  const fs::path folder = fresh("columns");
  put(folder / "m.csv", "a,b\n1,2\n");
  try {
    read_manifest(folder / "m.csv");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("neither a column 'audio_path' nor 'text'"));
    EXPECT_THAT(error.remedy(), HasSubstr("a, b"));
  }
}

TEST(CheckManifest, TellsBadAudioEmptyTextImbalanceAndLeaks) {
  const fs::path folder = fresh("check");
  put_sound(folder / "a.wav");
  put(folder / "broken.wav", "no sound");
  put(folder / "m.csv",
      "audio_path,text,label,group,split\na.wav,Yes.,x,g,train\na.wav, yes. ,x,g,test\n"
      "gone.wav,other,x,h,test\nbroken.wav, ,y,h,test\n");
  const CheckReport report = check_manifest(read_manifest(folder / "m.csv"));
  EXPECT_EQ(report.rows, 4U);
  EXPECT_DOUBLE_EQ(report.imbalance, 3.0);
  EXPECT_THAT(report.seconds, ElementsAre(0.25, 0.25));
  EXPECT_THAT(report.bad_audio, ElementsAre(HasSubstr("line 4: "), HasSubstr("line 5: ")));
  EXPECT_THAT(report.empty_text, ElementsAre("line 5"));
  EXPECT_THAT(report.leaked_texts, ElementsAre("'yes.' in test, train"));
  EXPECT_THAT(report.leaked_groups, ElementsAre("'g' in test, train"));
  EXPECT_TRUE(report.leaks());
  EXPECT_THAT(to_text(report), HasSubstr("durations: total 0.00 h, min 0.25 s"));
}

}  // namespace
}  // namespace polyphony::corpus
