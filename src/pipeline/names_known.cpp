#include "pipeline/names_known.h"

#include <unordered_map>

#include "pipeline/words.h"

namespace escribano {
namespace {

struct KnownApp {
  std::string_view name;     // the usual spelling
  std::string_view aliases;  // other compact ones, with spaces between
};

// A name stands here where it has spellings that differ by more than case and spaces, or where it shows up in window
// titles. An alias must mean one app only: "docs" or "studio" do not.
constexpr KnownApp kApps[] = {
    {"VS Code", "visualstudiocode microsoftvscode microsoftvisualstudiocode code codeoss vscodeinsiders"},
    {"VSCodium", ""},
    {"Visual Studio", "microsoftvisualstudio"},
    {"Xcode", "applexcode"},
    {"Cursor", "cursorai"},
    {"Windsurf", ""},
    {"Zed", ""},
    {"IntelliJ IDEA", "intellij intellijideaultimate intellijideacommunity intellijideacommunityedition"},
    {"PyCharm", "pycharmce pycharmpro pycharmprofessional pycharmcommunity pycharmcommunityedition jetbrainspycharm"},
    {"WebStorm", "jetbrainswebstorm"},
    {"GoLand", "jetbrainsgoland"},
    {"CLion", "jetbrainsclion"},
    {"Rider", "jetbrainsrider"},
    {"PhpStorm", "jetbrainsphpstorm"},
    {"RubyMine", "jetbrainsrubymine"},
    {"DataGrip", "jetbrainsdatagrip"},
    {"Android Studio", "googleandroidstudio"},
    {"Eclipse", "eclipseide"},
    {"Sublime Text", "sublime"},
    {"Vim", "vi macvim gvim"},
    {"Neovim", "nvim"},
    {"Emacs", "gnuemacs"},
    {"Notepad++", "notepadplusplus"},
    {"Jupyter", "jupyternotebook jupyterlab"},
    {"Chrome", "googlechrome"},
    {"Chromium", ""},
    {"Firefox", "mozillafirefox"},
    {"Safari", "applesafari"},
    {"Edge", "microsoftedge msedge"},
    {"Brave", "bravebrowser"},
    {"Arc", "arcbrowser"},
    {"Opera", ""},
    {"Vivaldi", ""},
    {"Terminal", "appleterminal macosterminal macterminal"},
    {"Windows Terminal", "microsoftterminal"},
    {"GNOME Terminal", "gnometerminal"},
    {"iTerm2", "iterm"},
    {"PowerShell", "windowspowershell microsoftpowershell"},
    {"Warp", "warpterminal"},
    {"Ghostty", ""},
    {"Alacritty", ""},
    {"kitty", ""},
    {"Slack", ""},
    {"Discord", ""},
    {"Teams", "microsoftteams msteams"},
    {"Zoom", "zoomus zoommeeting zoommeetings zoomworkplace"},
    {"Google Meet", "meetgooglecom"},
    {"Webex", "ciscowebex webexmeetings webexmeeting"},
    {"Skype", "microsoftskype"},
    {"FaceTime", "applefacetime"},
    {"WhatsApp", "whatsappmessenger"},
    {"Telegram", "telegrammessenger"},
    {"Signal", "signalmessenger"},
    {"Messages", "imessage imessages applemessages"},
    {"Mail", "applemail"},
    {"Gmail", "googlemail"},
    {"Outlook", "microsoftoutlook msoutlook"},
    {"Thunderbird", "mozillathunderbird"},
    {"Calendar", "applecalendar"},
    {"Google Calendar", "gcal googlecal"},
    {"Notes", "applenotes"},
    {"Reminders", "applereminders"},
    {"Notion", "notionso"},
    {"Obsidian", "obsidianmd"},
    {"Evernote", ""},
    {"OneNote", "microsoftonenote msonenote"},
    {"Word", "microsoftword msword"},
    {"Excel", "microsoftexcel msexcel"},
    {"PowerPoint", "microsoftpowerpoint mspowerpoint"},
    {"Google Docs", "gdocs"},
    {"Google Sheets", "gsheets"},
    {"Google Slides", "gslides"},
    {"Google Drive", "gdrive"},
    {"Pages", "applepages"},
    {"Numbers", "applenumbers"},
    {"Keynote", "applekeynote"},
    {"Preview", "applepreview"},
    {"Acrobat", "adobeacrobat adobeacrobatpro acrobatpro"},
    {"Acrobat Reader", "adobeacrobatreader adobereader adobeacrobatreaderdc acrobatreaderdc"},
    {"Figma", ""},
    {"Sketch", ""},
    {"Photoshop", "adobephotoshop"},
    {"Illustrator", "adobeillustrator"},
    {"InDesign", "adobeindesign"},
    {"Premiere Pro", "adobepremierepro premiere adobepremiere"},
    {"After Effects", "adobeaftereffects"},
    {"Lightroom", "adobelightroom"},
    {"Miro", ""},
    {"Postman", ""},
    {"Insomnia", ""},
    {"TablePlus", ""},
    {"DBeaver", "dbeavercommunity dbeaverce"},
    {"pgAdmin", "pgadmin4 pgadmin3"},
    {"MySQL Workbench", ""},
    {"Docker Desktop", ""},
    {"GitHub", "githubcom"},
    {"GitHub Desktop", ""},
    {"GitLab", "gitlabcom"},
    {"Linear", "linearapp"},
    {"Jira", "atlassianjira jirasoftware jiracloud"},
    {"Confluence", "atlassianconfluence"},
    {"Trello", "atlassiantrello"},
    {"Asana", ""},
    {"Finder", "macosfinder applefinder"},
    {"File Explorer", "windowsexplorer windowsfileexplorer"},
    {"System Settings", "systempreferences macossystemsettings"},
    {"Activity Monitor", ""},
    {"Spotify", ""},
    {"YouTube", "youtubecom"},
    {"Music", "applemusic"},
    {"Photos", "applephotos"},
    {"ChatGPT", "openaichatgpt"},
    {"Claude", "claudeai"},
    {"Grafana", "grafanalabs"},
    {"Power BI", "microsoftpowerbi"},
    {"Tableau", ""},
    {"1Password", "onepassword"},
};

using Spellings = std::unordered_map<std::string, std::string>;

Spellings spellings() {
  Spellings all;
  for (const KnownApp& app : kApps) {
    const std::string name(app.name);
    all.emplace(words::compact(name), name);
    for (const std::string_view alias : words::split_at_spaces(app.aliases)) all.emplace(alias, name);
  }
  return all;
}

}  // namespace

const std::string* known_app(std::string_view compact) {
  static const Spellings all = spellings();
  const auto found = all.find(std::string(compact));
  return found == all.end() ? nullptr : &found->second;
}

}  // namespace escribano
