#include "pipeline/names.h"

#include <utility>

#include <gtest/gtest.h>

#include "pipeline/observations.h"

namespace escribano {
namespace {

TEST(AppNames, SpellingsOfOneAppHaveOneKey) {
  const std::vector<const char*> kSame[] = {
      {"VS Code", "vs code", "VSCode", "vscode", "Visual Studio Code", "VisualStudioCode", "Code", "Microsoft VS Code",
       "Visual Studio Code.app", "VS Code 1.85.1", "VS  Code", " \"VS Code\" ", "Visual Studio Code window",
       "main.cpp - project - Visual Studio Code", "VS Code (Insiders)", "vs-code", "VS Code - Insiders"},
      {"Chrome", "Google Chrome", "google chrome", "GoogleChrome", "Google Chrome.app", "Chrome browser", "chrome.exe",
       "Google Chrome (Incognito)", "Chrome 120.0.6099.71", "Inbox - Google Chrome", "Chrome v120", "Chrome 120"},
      {"iTerm", "iTerm2", "ITERM", "iTerm 3.4.2", "iTerm2.app"},
      {"Teams", "MS Teams", "Microsoft Teams", "Teams app", "Chat | Microsoft Teams"},
      {"Excel", "Microsoft Excel", "MS Excel", "Excel 2016", "Excel 16"},
      {"Word", "Microsoft Word", "Word 2019", "MS Word", "Report.docx - Word", "Report.docx \xE2\x80\x94 Word"},
      {"PowerPoint", "Microsoft PowerPoint", "Power Point"},
      {"Outlook", "Microsoft Outlook"},
      {"Zoom", "zoom.us", "Zoom Meeting", "Zoom Workplace", "ZOOM"},
      {"IntelliJ IDEA", "IntelliJ", "IntelliJ IDEA Ultimate", "IntelliJ IDEA 2023.2"},
      {"Terminal", "terminal", "Terminal.app", "Terminal window", "Terminal (zsh)"},
      {"Slack", "slack", "Slack - general", "Slack Desktop"},
      {"Some Tool", "some tool", "SomeTool", "Some-Tool", "Some Tool 2.1", "Some Tool.app", "Some Tool v3"},
      {"Photoshop", "Adobe Photoshop", "Adobe Photoshop 2024", "Photoshop 25"},
      {"WhatsApp", "WhatsApp Web", "Whatsapp"},
  };
  for (const auto& spellings : kSame) {
    for (const char* spelling : spellings) {
      EXPECT_EQ(app_key(spelling), app_key(spellings.front())) << spelling;
    }
    EXPECT_EQ(app_name(spellings.back()),
              app_name(spellings.front()) == "Some Tool" ? "Some Tool" : app_name(spellings.front()));
  }
}

TEST(AppNames, DifferentAppsStayApart) {
  const std::pair<const char*, const char*> kDifferent[] = {
      {"Code", "Xcode"},
      {"VS Code", "Visual Studio"},
      {"VS Code", "VSCodium"},
      {"Word", "WordPress"},
      {"Word", "Wordle"},
      {"Teams", "Team Fortress"},
      {"Teams", "TeamViewer"},
      {"Team Fortress 1", "Team Fortress 2"},
      {"Go", "Google"},
      {"Go", "GoLand"},
      {"Notes", "Notion"},
      {"Notes", "OneNote"},
      {"Notes", "Notepad"},
      {"Notepad", "Notepad++"},
      {"Terminal", "Windows Terminal"},
      {"Terminal", "GNOME Terminal"},
      {"Slack", "Slackware"},
      {"Signal", "Sigma"},
      {"Chrome", "Chromium"},
      {"Chrome", "ChromeDriver"},
      {"Mail", "Gmail"},
      {"Mail", "Mailchimp"},
      {"Excel", "Excelsior"},
      {"Calendar", "Google Calendar"},
      {"GitHub", "GitHub Desktop"},
      {"GitHub", "GitLab"},
      {"Docker", "Docker Desktop"},
      {"Acrobat", "Acrobat Reader"},
      {"C", "C++"},
      {"C++ Builder", "C Builder"},
      {"Preview", "Review"},
      {"Linear", "Line"},
      {"Pages", "Page"},
      {"Arc", "ArcGIS"},
      {"Zed", "Zen"},
      {"Edge", "Edgecase"},
      {"Music", "YouTube Music"},
      {"Messages", "Messenger"},
      {"Sublime Text", "Sublime Merge"},
      {"Code Editor", "Code"},
      {"Postman", "Postmark"},
      {"Figma", "FigJam"},
      {"Cursor", "Cursive"},
      {"Rider", "Writer"},
      {"Numbers", "Number"},
      {"Brave", "Bravo"},
  };
  for (const auto& [a, b] : kDifferent) EXPECT_NE(app_key(a), app_key(b)) << a << " and " << b;
}

TEST(AppNames, AreWrittenInTheUsualWay) {
  EXPECT_EQ(app_name("visual studio code"), "VS Code");
  EXPECT_EQ(app_name("google chrome"), "Chrome");
  EXPECT_EQ(app_name("iterm"), "iTerm2");
  EXPECT_EQ(app_name("tableplus"), "TablePlus");
  EXPECT_EQ(app_name("  my \n own   tool "), "my own tool");
  EXPECT_EQ(app_name("\"Tool\""), "Tool");
  EXPECT_EQ(app_name("My Tool.app"), "My Tool");
}

TEST(AppNames, OfAnyTextHoldTogether) {
  Dice dice(2);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = dice.text(40);
    const std::string name = app_name(text);
    ASSERT_EQ(app_name(name), name) << text;
    ASSERT_EQ(app_key(name), app_key(text)) << text;
    ASSERT_EQ(name.find('\n'), std::string::npos);
    ASSERT_EQ(topic_key(topic_key(text)), topic_key(text)) << text;
  }
}

TEST(TopicKeys, SpellingsOfOneTopicHaveOneKey) {
  const std::vector<const char*> kSame[] = {
      {"API design", "api-designs", "Api_Design", "API  Design", "API design."},
      {"user-interface", "User Interface", "user interfaces"},
      {"queries", "query"},
      {"classes", "class"},
      {"C++", "c++"},
      {"Node.js", "node.js"},
      {"boxes", "box"},
  };
  for (const auto& spellings : kSame) {
    for (const char* spelling : spellings) EXPECT_EQ(topic_key(spelling), topic_key(spellings.front())) << spelling;
  }
}

TEST(TopicKeys, DifferentTopicsStayApart) {
  const std::pair<const char*, const char*> kDifferent[] = {
      {"C", "C++"},
      {"C", "C#"},
      {"news", "new"},
      {"status", "statu"},
      {"analysis", "analysi"},
      {"class", "clas"},
      {"Windows", "window"},
      {"AWS", "aw"},
      {"Java", "JavaScript"},
      {"search", "research"},
      {"design", "designer"},
      {"planning", "plan"},
      {"redis", "redi"},
      {"testing", "tests"},
      {"weather", "whether"},
      {"user interface", "user"},
  };
  for (const auto& [a, b] : kDifferent) EXPECT_NE(topic_key(a), topic_key(b)) << a << " and " << b;
  EXPECT_EQ(topic_key("  --  "), "");
}

}  // namespace
}  // namespace escribano
