// SPDX-License-Identifier: Apache-2.0
// All metrics by name. A name means one rule in each mode; where the released code does what a reader expects the two are one.
// docs/benchmarks.md says which benchmark is scored by which, and how the modes differ.
#pragma once
#include <string>
#include <vector>

#include "framework/metrics/metric.h"

namespace retain::framework {

/// Names of all metrics, in the order help shows them.
std::vector<std::string> metric_names();
/// "clean" or "faithful". Throws Error(config_invalid).
ScoringMode scoring_mode_from_name(const std::string& name);
/// Throws Error(config_invalid) that lists the names and suggests the nearest.
Metric metric_named(const std::string& name, ScoringMode mode = ScoringMode::clean);

/// Exact match after SQuAD 1.1 normalisation (Rajpurkar et al. 2016): lower case, ASCII punctuation deleted, articles
/// dropped, white space collapsed; 1 when equal to any reference.
double exact_match(const ScoreInput& input);

/// The first count in the prediction (1,234 = 1234; 3.0 = 3; 2.5 is none; number words zero to twenty; no, none = 0)
/// equals the reference integer.
double count(const ScoreInput& input);

/// Relaxed accuracy (ChartQA, Masry et al. 2022): numbers within 5 % of the reference ("x%" is x/100, no thousands commas),
/// any other text equal but for case and outer white space; a reference of 0 is compared as text.
double relaxed_accuracy(const ScoreInput& input);

/// ANLS (Biten et al. 2019): the best 1 − distance over the references where that is above one half, else 0; distance is
/// Levenshtein's over the longer length, in code points, lower case, white space collapsed.
double anls(const ScoreInput& input);

/// VQA accuracy (Antol et al. 2015): mean of min(1, matches / 3) over the subsets that leave one reference out, after the
/// official normalisation of both sides (punctuation, number words, articles, contractions).
double vqa_accuracy(const ScoreInput& input);

/// The option letter a free-form answer names equals the reference letter. Rules, first hit wins: the letter alone; at the
/// start with a mark; after "answer is", "option:", …; the last "(X)"; the only letter standing as a word ("A" and "I" only
/// at the end); the only option text that occurs.
double mcq(const ScoreInput& input);

// The benchmarks' own rules.

/// CUB-200: mcq over the options, or over A … Z where the options stand in the question only.
double option_letter(const ScoreInput& input);
/// AI2D: a leading "X." stands for X; else the whole text; equal but for case and ASCII punctuation.
double leading_letter(const ScoreInput& input);
/// SEED-Bench: the first character equals the reference but for case.
double first_character(const ScoreInput& input);
/// ScienceQA: the letter, alone or before a full stop, equals the reference but for case.
double scienceqa(const ScoreInput& input);
/// MMStar: the reference letter at the start, or after "(", "option " or "the answer is ".
double mmstar(const ScoreInput& input);
/// RealWorldQA: zero to ten become digits, the text of an option (those given, or "X. text" lines of the question) its letter;
/// equal but for case and punctuation.
double realworldqa(const ScoreInput& input);
/// Clock reading: hours equal and minutes within one, round the hour; h:mm, else the first two whole numbers, in digits of any script.
double clock_time(const ScoreInput& input);
/// The two halves of it.
double clock_hour(const ScoreInput& input);
double clock_minute(const ScoreInput& input);
/// PathVQA: the same words (ASCII letters only, lower case) in the same order; exact_match where neither side has a letter.
double pathvqa(const ScoreInput& input);
/// F1 of these words as multisets; the best over the references.
double word_f1(const ScoreInput& input);
/// Sentence BLEU (Papineni et al. 2002) of these words up to 1, 2, 3 in a row, uniform weights; 0 where nothing matches.
double bleu_1(const ScoreInput& input);
double bleu_2(const ScoreInput& input);
double bleu_3(const ScoreInput& input);
/// exact_match on questions that open with is, are, does, …; NaN for any other.
double yes_no(const ScoreInput& input);
/// OCRBench: a reference occurs in the prediction, case and outer space aside. Formulas (category "HME100k" or "Handwritten
/// Mathematical Expression Recognition") are compared without spaces and with case.
double ocrbench(const ScoreInput& input);

// What differs as released.

/// exact_match: equal but for case and ASCII punctuation; articles and spaces count.
double released_exact_match(const ScoreInput& input);
/// count (PixMo-Count): number words become digits inside words too, zero first: "fourteen" is "4teen"; then the first
/// digits, of any script.
double released_count(const ScoreInput& input);
/// countbench: the first digits, of any script; without any, the first of zero … twenty that occurs, inside words too.
double released_countbench(const ScoreInput& input);
/// relaxed_accuracy (ChartQA): whatever Python's float() takes is a number; other text keeps its outer space.
double released_relaxed_accuracy(const ScoreInput& input);
/// anls: the distance of the normalised texts over the longer length of the texts as they came, in upper case ("ß" is two); exactly
/// one half counts.
double released_anls(const ScoreInput& input);
/// vqa_accuracy: EvalAI's answer processor, which also drops commas and question marks and splits off 's.
double released_vqa_accuracy(const ScoreInput& input);
/// mcq and option_letter (CUB-200): the first letter that stands alone, an article too; else the first character.
double released_option_letter(const ScoreInput& input);
/// scienceqa: the whole text equals the letter.
double released_scienceqa(const ScoreInput& input);
/// pathvqa: distinct reference words that the prediction has, over the number of its words.
double released_pathvqa(const ScoreInput& input);
/// word_f1: every repetition in the prediction of a word that the reference has counts as found.
double released_word_f1(const ScoreInput& input);
/// bleu_n: the brevity penalty counts characters, and a precision of zero is left out of the product.
double released_bleu_1(const ScoreInput& input);
double released_bleu_2(const ScoreInput& input);
double released_bleu_3(const ScoreInput& input);
/// yes_no: equal but for case and outer space.
double released_yes_no(const ScoreInput& input);
/// ocrbench: the prediction of a formula is lower-cased, its reference not.
double released_ocrbench(const ScoreInput& input);

}  // namespace retain::framework
