#include "settings.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <numbers>
#include <stdexcept>

#include "fmt/format.h"

namespace rhopot {
namespace {

constexpr int64_t MOST_STEPS = int64_t{1} << 53;
constexpr double LEAST_SIGMA = 1e-9;    // squares of what is divided by it are numbers
constexpr int COLVAR_EVERY = 100;    // steps between lines of COLVAR where there are no hills

[[noreturn]] void refuse(const std::string &reason)
{
  throw std::runtime_error("fix rhopot/metad: " + reason);
}

std::string listed(const std::vector<std::string> &words)
{
  std::string text;
  for (const std::string &word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Reads the words one after the other; every fault is a sentence that names the keyword.
class Words {
 public:
  Words(const std::vector<std::string> &words, const CvHeader &header) : words_(words), header_(header) {}

  bool empty() const { return next_ == words_.size(); }
  void keyword() { keyword_ = words_[next_++]; }
  const std::string &current() const { return keyword_; }

  std::string text()
  {
    if (empty()) refuse(keyword_ + " must be followed by more words, got the end of the line");
    return words_[next_++];
  }

  double number()
  {
    const std::string word = text();
    if (word == "pi" || word == "-pi") return word == "pi" ? std::numbers::pi : -std::numbers::pi;
    char *end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (word.empty() || *end || !std::isfinite(value)) refuse(keyword_ + " must have numbers, got '" + word + "'");
    return value;
  }

  double positive(const std::string &what)
  {
    const double value = number();
    if (!(value > 0.0)) refuse(keyword_ + " must be " + what + " above 0, got " + words_[next_ - 1]);
    return value;
  }

  int64_t integer(const std::string &what, int64_t least, int64_t most = std::numeric_limits<int>::max())
  {
    const double value = number();
    if (value != std::floor(value) || value < static_cast<double>(least) || value > static_cast<double>(most))
      refuse(
          fmt::format("{} must have {} of at least {} and at most {}, got {}", keyword_, what, least, most, words_[next_ - 1]));
    return static_cast<int64_t>(value);
  }

  int variable()
  {
    const std::string name = text();
    const auto found = std::find(header_.names.begin(), header_.names.end(), name);
    if (found == header_.names.end())
      refuse(keyword_ + " must name a collective variable of the file (" + listed(header_.names) + "), got " + name);
    return static_cast<int>(found - header_.names.begin());
  }

 private:
  const std::vector<std::string> &words_;
  const CvHeader &header_;
  size_t next_ = 0;
  std::string keyword_;
};

GridAxis read_axis(Words &words, const CvHeader &header, size_t k)
{
  GridAxis axis;
  axis.low = words.number();
  axis.high = words.number();
  axis.intervals = static_cast<int>(words.integer("a number of intervals", 2, 1000000));
  if (!(axis.high > axis.low)) refuse(fmt::format("grid must go from low to high, got {} to {}", axis.low, axis.high));
  const double period = header.periods[k];
  if (period > 0.0 && std::abs(axis.high - axis.low - period) > 1e-6 * period)
    refuse(fmt::format("grid of the periodic variable {} must span its period {}, got {} to {}", header.names[k], period,
                       axis.low, axis.high));
  if (period > 0.0) axis.high = axis.low + period;
  return axis;
}

void read_walkers(Words &words, MetadSettings &settings)
{
  const std::string how = words.text();
  if (how == "partitions") {
    settings.walkers = Walkers::PARTITIONS;
  } else if (how == "folder") {
    settings.walkers = Walkers::FOLDER;
    settings.folder = words.text();
    settings.walker = static_cast<int>(words.integer("the number of the walker, from 0,", 0));
    settings.n_walkers = static_cast<int>(words.integer("the number of walkers", 1));
    if (settings.walker >= settings.n_walkers)
      refuse(
          fmt::format("walkers folder must number the walkers from 0 to {}, got {}", settings.n_walkers - 1, settings.walker));
  } else {
    refuse("walkers must be partitions or folder, got " + how);
  }
}

using Reader = std::function<void(Words &, MetadSettings &, const CvHeader &)>;

const std::map<std::string, Reader> &readers()
{
  static const std::map<std::string, Reader> found = {
      {"pace",
       [](Words &w, MetadSettings &s, const CvHeader &) { s.pace = static_cast<int>(w.integer("a number of steps", 1)); }},
      {"height", [](Words &w, MetadSettings &s, const CvHeader &) { s.height = w.positive("an energy"); }},
      {"sigma",
       [](Words &w, MetadSettings &s, const CvHeader &h) {
         s.sigma.clear();
         for (size_t k = 0; k < h.names.size(); k++) s.sigma.push_back(w.positive("a width of " + h.names[k]));
       }},
      {"biasfactor",
       [](Words &w, MetadSettings &s, const CvHeader &) {
         s.biasfactor = w.number();
         if (!(s.biasfactor > 1.0)) refuse(fmt::format("biasfactor must be above 1, got {}", s.biasfactor));
       }},
      {"temp", [](Words &w, MetadSettings &s, const CvHeader &) { s.temperature = w.positive("a temperature"); }},
      {"grid",
       [](Words &w, MetadSettings &s, const CvHeader &h) {
         s.grid.clear();
         for (size_t k = 0; k < h.names.size(); k++) s.grid.push_back(read_axis(w, h, k));
       }},
      {"wall_lower",
       [](Words &w, MetadSettings &s, const CvHeader &) {
         const int k = w.variable();
         const double at = w.number();
         s.walls.push_back({k, false, at, w.positive("a force constant")});
       }},
      {"wall_upper",
       [](Words &w, MetadSettings &s, const CvHeader &) {
         const int k = w.variable();
         const double at = w.number();
         s.walls.push_back({k, true, at, w.positive("a force constant")});
       }},
      {"moving",
       [](Words &w, MetadSettings &s, const CvHeader &) {
         MovingRestraint restraint;
         restraint.variable = w.variable();
         restraint.from = w.number();
         restraint.to = w.number();
         restraint.kappa = w.positive("a force constant");
         restraint.first = w.integer("a first step", 0, MOST_STEPS);
         restraint.last = w.integer("a last step", restraint.first, MOST_STEPS);
         s.moving.push_back(restraint);
       }},
      {"hills", [](Words &w, MetadSettings &s, const CvHeader &) { s.hills = w.text(); }},
      {"colvar",
       [](Words &w, MetadSettings &s, const CvHeader &) {
         s.colvar = w.text();
         s.colvar_every = static_cast<int>(w.integer("a number of steps", 1));
       }},
      {"restart",
       [](Words &w, MetadSettings &s, const CvHeader &) {
         const std::string value = w.text();
         if (value != "yes" && value != "no") refuse("restart must be yes or no, got " + value);
         s.restart = value == "yes";
       }},
      {"walkers", [](Words &w, MetadSettings &s, const CvHeader &) { read_walkers(w, s); }},
      {"stop_uncertainty",
       [](Words &w, MetadSettings &s, const CvHeader &) { s.stop_uncertainty = w.positive("a standard deviation of forces"); }},
  };
  return found;
}

void check_elements(const MetadSettings &settings, const CvHeader &header, int n_types)
{
  const std::vector<std::string> &elements = settings.elements;
  if (header.cutoff == 0.0) {
    if (!elements.empty())
      refuse("elements must be left out for a variable that reads no neighbors, got '" + elements.front() +
             "'; keywords are lower-case");
    return;
  }
  if (static_cast<int>(elements.size()) != n_types)
    refuse(fmt::format("must name one element (or NULL) for each of the {} atom types, got {}; the variable knows {}", n_types,
                       elements.size(), listed(header.symbols)));
  for (const std::string &element : elements)
    if (element != "NULL" && std::find(header.symbols.begin(), header.symbols.end(), element) == header.symbols.end())
      refuse("elements must be among those of the variable (" + listed(header.symbols) + ") or NULL, got " + element);
}

void check_together(const MetadSettings &s, const CvHeader &header)
{
  const bool has_hills = s.pace > 0 || s.height > 0.0 || !s.sigma.empty();
  if (has_hills && (s.pace == 0 || s.height == 0.0 || s.sigma.empty()))
    refuse("hills need pace, height and sigma, one of them is missing");
  if (!has_hills && s.walls.empty() && s.moving.empty())
    refuse("must have hills (pace, height, sigma), a wall or a moving restraint, got none of them");
  if (!has_hills && (s.biasfactor > 0.0 || !s.grid.empty() || s.walkers != Walkers::ONE))
    refuse("biasfactor, grid and walkers belong to hills; add pace, height and sigma");
  for (const double sigma : s.sigma)
    if (sigma < LEAST_SIGMA) refuse(fmt::format("sigma must be at least {}, got {}", LEAST_SIGMA, sigma));
  if (s.hills == s.colvar) refuse("hills and colvar must be two files, got '" + s.hills + "' for both");
  if (s.biasfactor > 0.0 && s.temperature == 0.0) refuse("biasfactor needs temp, the temperature of the run");
  for (size_t k = 0; k < s.grid.size(); k++)
    if (s.grid[k].spacing() > 0.5 * s.sigma[k])
      refuse(fmt::format("grid spacing must be at most half of sigma, got {} of {} with sigma {}; take {} intervals",
                         s.grid[k].spacing(), header.names[k], s.sigma[k],
                         std::ceil(3.0 * (s.grid[k].high - s.grid[k].low) / s.sigma[k])));
  for (const Wall &wall : s.walls)
    if (header.periods[wall.variable] > 0.0)
      refuse("walls must be of variables that are not periodic, got " + header.names[wall.variable]);
}

}    // namespace

MetadSettings read_settings(const std::vector<std::string> &given, const CvHeader &header, int n_types)
{
  MetadSettings settings;
  const auto first = std::find_if(given.begin(), given.end(), [](const std::string &word) { return readers().contains(word); });
  settings.elements.assign(given.begin(), first);
  check_elements(settings, header, n_types);
  const std::vector<std::string> rest(first, given.end());
  Words words(rest, header);
  while (!words.empty()) {
    words.keyword();
    const auto reader = readers().find(words.current());
    if (reader == readers().end()) {
      std::vector<std::string> known;
      for (const auto &[keyword, unused] : readers()) known.push_back(keyword);
      refuse("keyword must be one of " + listed(known) + ", got " + words.current());
    }
    reader->second(words, settings, header);
  }
  check_together(settings, header);
  if (settings.colvar_every == 0) settings.colvar_every = settings.pace > 0 ? settings.pace : COLVAR_EVERY;
  return settings;
}

}    // namespace rhopot
