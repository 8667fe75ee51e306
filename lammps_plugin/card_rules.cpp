#include "card_rules.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <string_view>

namespace rhopot {
namespace {

using LAMMPS_NS::json;

constexpr const char *ELEMENTS =
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc "
    "Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi "
    "Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og";

bool is_element(const std::string &symbol)
{
  static const std::set<std::string> known = [] {
    std::istringstream words(ELEMENTS);
    std::set<std::string> symbols;
    for (std::string word; words >> word;) symbols.insert(word);
    return symbols;
  }();
  return known.count(symbol) > 0;
}

// ---- what a value is ------------------------------------------------------------------------------------------------------

bool is_text(const json &value)
{
  return value.is_string() && !value.get_ref<const std::string &>().empty();
}

bool is_one_of(const json &value, std::initializer_list<const char *> words)
{
  return value.is_string() && std::any_of(words.begin(), words.end(), [&](const char *word) { return value == word; });
}

bool is_integer_from(const json &value, int64_t least)
{
  return value.is_number_integer() && value <= 1000000 && value >= least;
}

bool is_positive(const json &value)
{
  return value.is_number() && value.get<double>() > 0.0 && std::isfinite(value.get<double>());
}

bool is_finite_from(const json &value, double least)
{
  return value.is_number() && value.get<double>() >= least && std::isfinite(value.get<double>());
}

bool is_settings(const json &value)
{
  return value.is_object() && !value.empty();
}

bool all_of(const json &list, bool (*rule)(const json &))
{
  return list.is_array() && std::all_of(list.begin(), list.end(), rule);
}

bool has_only(const json &value, std::initializer_list<const char *> keys)
{
  for (const auto &item : value.items())
    if (std::none_of(keys.begin(), keys.end(), [&](const char *key) { return item.key() == key; })) return false;
  return true;
}

bool is_symbols(const json &value)
{
  if (!all_of(value, is_text) || value.empty()) return false;
  std::set<std::string> distinct;
  for (const json &symbol : value) {
    if (!is_element(symbol.get<std::string>())) return false;
    distinct.insert(symbol.get<std::string>());
  }
  return distinct.size() == value.size();
}

// One value for each symbol and for nothing else.
bool covers(const json &value, const json &symbols)
{
  if (!is_symbols(symbols)) return true;    // reported as such
  return value.size() == symbols.size() && std::all_of(symbols.begin(), symbols.end(), [&](const json &symbol) {
           return value.contains(symbol.get<std::string>());
         });
}

bool is_baseline(const json &value, const json &symbols)
{
  if (!value.is_object()) return false;
  for (const json &energy : value)
    if (!energy.is_number() || !std::isfinite(energy.get<double>())) return false;
  return covers(value, symbols);
}

bool is_units(const json &value)
{
  return value.is_object() && has_only(value, {"length", "energy"}) && value.value("length", json("A")) == "A" &&
      value.value("energy", json("eV")) == "eV";
}

bool is_radius(const json &value)
{
  return value.is_object() && has_only(value, {"multiple", "floor"}) && is_positive(value.value("multiple", json())) &&
      is_finite_from(value.value("floor", json()), 0.0);
}

// None, or one for each symbol.
bool are_of_symbols(const json &values, bool (*rule)(const json &), const json &symbols)
{
  return values.is_object() && std::all_of(values.begin(), values.end(), rule) && (values.empty() || covers(values, symbols));
}

bool is_uncertainty(const json &value, const json &symbols)
{
  return value.is_object() && has_only(value, {"members", "force_factors", "force_radii", "extrapolation"}) &&
      is_integer_from(value.value("members", json()), 0) &&
      are_of_symbols(value.value("force_factors", json::object()), is_positive, symbols) &&
      are_of_symbols(value.value("force_radii", json::object()), is_radius, symbols) &&
      value.value("extrapolation", json(false)).is_boolean();
}

bool is_training_data(const json &value)
{
  return value.is_object() && has_only(value, {"summary", "hash"}) && is_settings(value.value("summary", json())) &&
      is_text(value.value("hash", json()));
}

bool is_versions(const json &value)
{
  return value.is_object() && has_only(value, {"rhopot", "torch", "operators"}) && is_text(value.value("rhopot", json())) &&
      is_text(value.value("torch", json())) &&
      all_of(value.value("operators", json()), [](const json &name) { return name.is_string(); });
}

// ---- sentences ------------------------------------------------------------------------------------------------------------

// A value as Python writes it, shortened.
std::string python_text(const json &value)
{
  if (value.is_null()) return "None";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_string()) return "'" + value.get<std::string>() + "'";
  if (!value.is_structured()) return value.dump();
  std::string text;
  for (const auto &item : value.items()) {
    if (!text.empty()) text += ", ";
    if (value.is_object()) text += "'" + item.key() + "': ";
    text += python_text(item.value());
  }
  return value.is_object() ? "{" + text + "}" : "[" + text + "]";
}

std::string shortened(const std::string &text)
{
  return text.size() <= 80 ? text : text.substr(0, 77) + "...";
}

struct Rule {
  const char *field;
  bool (*holds)(const json &value, const json &card);
  const char *rule, *remedy;
  bool optional = false;
};

#define HOLDS(expression) [](const json &value, const json &card) -> bool { return static_cast<void>(card), expression; }

const Rule RULES[] = {
    {"format_version", HOLDS(value.is_number_integer() && value == 1), "1", "leave it to the exporter"},
    {"family", HOLDS(is_text(value)), "the name of a model family", "give for instance 'soap_gap'"},
    {"kind", HOLDS(is_one_of(value, {"local", "global"})), "'local' or 'global'",
     "a model of atomic energies is 'local', one of the total energy 'global'"},
    {"symbols", HOLDS(is_symbols(value)), "distinct chemical symbols", "list the elements in the order of the model's species"},
    {"cutoff", HOLDS(is_positive(value)), "a positive length in A", "give the longest cutoff inside the model"},
    {"n_layers", HOLDS(is_integer_from(value, 1)), "a positive number of message-passing stages",
     "a model without any exchange between atoms has 1"},
    {"dtype", HOLDS(is_one_of(value, {"float64", "float32"})), "'float64' or 'float32'", "give what the model computes in"},
    {"units", HOLDS(is_units(value)), "length 'A' and energy 'eV'", "leave it to the exporter"},
    {"baseline_energies", HOLDS(is_baseline(value, card.at("symbols"))), "one energy in eV for each of the symbols",
     "give 0.0 where there is none"},
    {"uncertainty", HOLDS(is_uncertainty(value, card.at("symbols"))),
     "a number of members, 0 or more, positive force_factors and force_radii, one for each of the symbols, and extrapolation "
     "true or false",
     "give 0 members if the model has no uncertainty"},
    {"descriptor", HOLDS(is_settings(value)), "a non-empty JSON object of finite values", "give the descriptor's settings"},
    {"fit", HOLDS(is_settings(value)), "a non-empty JSON object of finite values", "give the fit's settings"},
    {"training_data", HOLDS(is_training_data(value)), "a summary and a hash", "describe what the model was trained on"},
    {"metrics", HOLDS(is_settings(value)), "a non-empty JSON object of finite values", "give at least the training errors"},
    {"versions", HOLDS(is_versions(value)), "versions of rhopot and torch, and a list of operators",
     "leave it to the exporter"},
    {"references", HOLDS(all_of(value, is_text) && !value.empty()), "at least one reference",
     "say what users of this model should cite"},
    {"stretch", HOLDS(value.is_null() || is_finite_from(value, 1.0)), "a factor of at least 1",
     "leave it out for models of kind 'local'", /*optional=*/true},
};

#undef HOLDS

// Fields that the descriptor's settings contradict; the model was made with those.
std::vector<std::string> contradictions(const json &card)
{
  std::vector<std::string> found;
  const json &descriptor = card.at("descriptor"), &symbols = card.at("symbols");
  const json made_with = descriptor.value("symbols", symbols), reach = descriptor.value("cutoff", json(0.0));
  const double cutoff = card.at("cutoff").get<double>();
  if (made_with != symbols)
    found.push_back("card.symbols must be those of card.descriptor, got " + python_text(symbols) + " beside " +
                    python_text(made_with) + "; export it again");
  if (reach.is_number() && cutoff < reach.get<double>())
    found.push_back("card.cutoff must reach as far as that of card.descriptor, got " + python_text(json(cutoff)) + " beside " +
                    python_text(reach) + "; export it again");
  return found;
}

}    // namespace

std::vector<std::string> card_faults(const json &card)
{
  std::string absent;
  for (const Rule &rule : RULES)
    if (!rule.optional && !card.contains(rule.field)) absent += (absent.empty() ? "" : ", ") + std::string(rule.field);
  if (!absent.empty()) return {"card must hold every field, got none of " + absent};
  std::vector<std::string> faults;
  for (const Rule &rule : RULES) {
    if (!card.contains(rule.field)) continue;
    const json &value = card.at(rule.field);
    if (!rule.holds(value, card))
      faults.push_back(std::string("card.") + rule.field + " must be " + rule.rule + ", got " + shortened(python_text(value)) +
                       "; " + rule.remedy);
  }
  for (const auto &item : card.items())
    if (std::none_of(std::begin(RULES), std::end(RULES), [&](const Rule &rule) { return item.key() == rule.field; }))
      faults.push_back("card." + item.key() + " must not be given, it is not a field of format 1");
  return faults.empty() ? contradictions(card) : faults;
}

}    // namespace rhopot
