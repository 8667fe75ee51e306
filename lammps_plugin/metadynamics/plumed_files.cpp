#include "plumed_files.h"

#include <sys/stat.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "fmt/format.h"

namespace rhopot {
namespace {

constexpr double NM_PER_A = 0.1;

// The fewest digits that read back as the same number.
std::string number(double value)
{
  return fmt::format("{}", value);
}

// Bounds of a periodic variable, in PLUMED's words.
std::string periodic_lines(const CvHeader &header)
{
  std::string text;
  for (size_t k = 0; k < header.names.size(); k++) {
    const std::string &name = header.names[k];
    if (header.periods[k] > 0.0) {
      const bool is_turn = std::abs(header.periods[k] - 2.0 * std::numbers::pi) < 1e-12;
      const std::string half = is_turn ? "pi" : number(0.5 * header.periods[k]);
      text += "#! SET min_" + name + " -" + half + "\n#! SET max_" + name + " " + half + "\n";
    }
    if (header.units[k] == "A") text += "#! SET rhopot_unit_" + name + " A\n";
  }
  return text;
}

std::string joined(const std::vector<std::string> &words, const std::string &before = "")
{
  std::string text;
  for (const std::string &word : words) text += " " + before + word;
  return text;
}

void write_whole(const std::string &path, const std::string &text, const char *mode)
{
  std::FILE *const file = std::fopen(path.c_str(), mode);
  const bool written = file && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if ((file && std::fclose(file) != 0) || !written)
    throw std::runtime_error("file '" + path + "' cannot be written; look at its folder and the space left");
}

void replace(const std::string &path, const std::string &text)
{
  const std::string unfinished = path + ".unfinished";
  write_whole(unfinished, text, "wb");
  std::filesystem::rename(unfinished, path);
}

// Everything from an offset to the last end of a line.
std::string whole_lines(const std::string &path, long offset)
{
  std::ifstream file(path, std::ios::binary);
  if (!file || !file.seekg(offset)) return "";
  std::ostringstream content;
  content << file.rdbuf();
  const std::string text = content.str();
  return text.substr(0, text.rfind('\n') + 1);
}

}    // namespace

PlumedUnits PlumedUnits::of(const CvHeader &header, double kj_per_mol)
{
  PlumedUnits units{kj_per_mol, {}};
  for (const std::string &unit : header.units) units.lengths.push_back(unit == "A" ? NM_PER_A : 1.0);
  return units;
}

std::string keep_older(const std::string &path, bool copies)
{
  namespace fs = std::filesystem;
  if (!fs::exists(path)) return "";
  if (fs::is_directory(path)) throw std::runtime_error("file '" + path + "' must be a file, got a folder; give another name");
  const fs::path old(path);
  for (int n = 0;; n++) {
    const fs::path kept = old.parent_path() / ("bck." + std::to_string(n) + "." + old.filename().string());
    if (fs::exists(kept)) continue;
    if (copies)
      fs::copy_file(old, kept);
    else
      fs::rename(old, kept);
    return kept.string();
  }
}

// ---- HILLS ----------------------------------------------------------------------------------------------------------------

HillsFile::HillsFile(std::string path, const CvHeader &header, double kj_per_mol, double biasfactor)
    : path_(std::move(path)),
      header_(header),
      units_(PlumedUnits::of(header, kj_per_mol)),
      biasfactor_(biasfactor)
{
}

bool HillsFile::exists() const
{
  return std::filesystem::exists(path_);
}

uint64_t HillsFile::file_number() const
{
  struct stat status;
  return stat(path_.c_str(), &status) == 0 ? status.st_ino : 0;
}

long HillsFile::size() const
{
  std::error_code none;
  const auto bytes = std::filesystem::file_size(path_, none);
  return none ? 0 : static_cast<long>(bytes);
}

std::string HillsFile::head() const
{
  return "#! FIELDS time" + joined(header_.names) + joined(header_.names, "sigma_") + " height biasf\n" +
      "#! SET multivariate false\n#! SET kerneltype gaussian\n" + periodic_lines(header_) + "#! SET rhopot_cv " +
      header_.identity + "\n";
}

std::string HillsFile::line(const Hill &hill) const
{
  const double scaled = biasfactor_ > 1.0 ? hill.height * biasfactor_ / (biasfactor_ - 1.0) : hill.height;
  std::string text = number(hill.time);
  for (size_t k = 0; k < hill.center.size(); k++) text += " " + number(hill.center[k] * units_.lengths[k]);
  for (size_t k = 0; k < hill.sigma.size(); k++) text += " " + number(hill.sigma[k] * units_.lengths[k]);
  return text + " " + number(scaled * units_.energy) + " " + (biasfactor_ > 1.0 ? number(biasfactor_) : "-1") + "\n";
}

Hill HillsFile::parse(const std::string &text, int walker) const
{
  std::istringstream words(text);
  std::vector<double> numbers;
  for (std::string word; words >> word;) {
    char *end = nullptr;
    numbers.push_back(std::strtod(word.c_str(), &end));
    if (*end || !std::isfinite(numbers.back()))
      throw std::runtime_error("file '" + path_ + "' must hold numbers, got '" + word + "'; remove that line or the file");
  }
  const size_t n = header_.names.size();
  if (numbers.size() != 2 * n + 3)
    throw std::runtime_error("file '" + path_ + "' must have " + std::to_string(2 * n + 3) + " numbers in a line, got '" +
                             text + "'; it belongs to other collective variables, give another name");
  Hill hill{numbers[0], walker, numbers[2 * n + 1] / units_.energy, {}, {}};
  for (size_t k = 0; k < n; k++) hill.center.push_back(numbers[1 + k] / units_.lengths[k]);
  for (size_t k = 0; k < n; k++) hill.sigma.push_back(numbers[1 + n + k] / units_.lengths[k]);
  for (const double sigma : hill.sigma)
    if (!(sigma > 0.0)) refuse("must hold hills of a sigma above 0, got '" + text + "'");
  const double stated = numbers[2 * n + 2];
  if (biasfactor_ > 1.0 ? stated != biasfactor_ : stated > 1.0)
    throw std::runtime_error("file '" + path_ + "' must have the run's bias factor, got " + number(stated) +
                             "; continue with that biasfactor, or give another name of the file");
  if (biasfactor_ > 1.0) hill.height *= (biasfactor_ - 1.0) / biasfactor_;
  return hill;
}

void HillsFile::refuse(const std::string &reason) const
{
  throw std::runtime_error("file '" + path_ + "' " + reason + "; repair it, or give another name");
}

void HillsFile::check_head(const std::string &text) const
{
  std::istringstream words(text);
  std::string mark, kind, name, value;
  words >> mark >> kind;
  if (kind == "FIELDS") {
    std::string fields;
    for (std::string word; words >> word;) fields += " " + word;
    const std::string expected = " time" + joined(header_.names) + joined(header_.names, "sigma_") + " height biasf";
    if (fields != expected)
      throw std::runtime_error("file '" + path_ + "' must have the fields" + expected + ", got" + fields +
                               "; it belongs to other collective variables, give another name");
  }
  words >> name >> value;
  if (kind == "SET" && ((name == "multivariate" && value != "false") || (name == "kerneltype" && value != "gaussian")))
    refuse("must hold Gaussians of one variable each, got " + name + " " + value);
  if (kind == "SET" && name == "rhopot_cv" && value != header_.identity)
    throw std::runtime_error("file '" + path_ + "' holds hills of another collective variable (" + value +
                             ", that of the run is " + header_.identity +
                             "); give another name of the file, or the file it was made with");
}

std::vector<Hill> HillsFile::read(int walker) const
{
  long offset = 0;
  return read_from(offset, walker);
}

std::vector<Hill> HillsFile::read_from(long &offset, int walker) const
{
  bool has_head = offset > 0;
  const std::string text = whole_lines(path_, offset);
  offset += static_cast<long>(text.size());
  std::vector<Hill> hills;
  std::istringstream lines(text);
  for (std::string each; std::getline(lines, each);) {
    if (each.rfind("#!", 0) == 0) {
      check_head(each);
      has_head = has_head || each.find("FIELDS") != std::string::npos;
    } else if (each.find_first_not_of(" \t\r") != std::string::npos && each[0] != '#') {
      if (!has_head) refuse("must begin with a line '#! FIELDS time ...', got none");
      hills.push_back(parse(each, walker));
    }
  }
  return hills;
}

void HillsFile::rewrite(const std::vector<Hill> &hills) const
{
  std::string text = head();
  for (const Hill &hill : hills) text += line(hill);
  replace(path_, text);
}

void HillsFile::append(const Hill &hill) const
{
  write_whole(path_, line(hill), "ab");
}

// ---- COLVAR ---------------------------------------------------------------------------------------------------------------

ColvarFile::ColvarFile(std::string path, const CvHeader &header, double kj_per_mol, std::vector<std::string> energies)
    : path_(std::move(path)),
      header_(header),
      units_(PlumedUnits::of(header, kj_per_mol)),
      energies_(std::move(energies))
{
}

std::string ColvarFile::head() const
{
  return "#! FIELDS time" + joined(header_.names) + joined(energies_) + "\n" + periodic_lines(header_) + "#! SET rhopot_cv " +
      header_.identity + "\n";
}

void ColvarFile::require_own() const
{
  std::istringstream lines(whole_lines(path_, 0)), own(head());
  std::string expected, found;
  while (std::getline(own, expected))
    if (std::getline(lines, found) && found != expected)
      throw std::runtime_error("file '" + path_ + "' must begin with '" + expected + "', got '" + found +
                               "': it belongs to other variables or another bias; give another name");
}

Values ColvarFile::keep_until(double time) const
{
  std::string kept = head(), last;
  std::istringstream lines(whole_lines(path_, 0));
  for (std::string each; std::getline(lines, each);)
    if (!each.empty() && each[0] != '#' && std::strtod(each.c_str(), nullptr) <= time) kept += (last = each) + "\n";
  replace(path_, kept);
  Values numbers;
  std::istringstream words(last);
  for (double value = 0.0; words >> value;) numbers.push_back(value);
  return numbers;
}

void ColvarFile::append(double time, const Values &values, const Values &energies) const
{
  std::string text = number(time);
  for (size_t k = 0; k < values.size(); k++) text += " " + number(values[k] * units_.lengths[k]);
  for (const double energy : energies) text += " " + number(energy * units_.energy);
  write_whole(path_, text + "\n", "ab");
}

}    // namespace rhopot
