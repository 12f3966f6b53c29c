"""The rules of docs/grading.md, case by case: what must agree, and what must not.

Every case is written for this file. Two kinds are named by where the rule was broken elsewhere: `REPORTED` holds the
faults that users of other graders reported (the same notation, other values), `OLD_FAULTS` the false verdicts
measured on MARIO Eval. A case is (reference, answer).
"""

from __future__ import annotations

import pytest

from mario.grade import is_equivalent

SAME: dict[str, list[tuple[str, str]]] = {
    "integers": [
        ("42", "42"),
        ("42", "42."),
        ("42", "+42"),
        ("42", " 42 \n"),
        ("-7", "−7"),
        ("-7", "- 7"),
        ("1024", "2^{10}"),
        ("1024", "2**10"),
        ("6", "3!"),
        ("7", "007"),
        ("35", "\\binom{7}{3}"),
        ("35", "binomial(7, 3)"),
        ("72", "$72$"),
        ("72", "\\boxed{72}"),
        ("72", "$\\boxed{72}$"),
        ("72", "Final Answer: $72$"),
        ("72", "The final answer is 72."),
        ("72", "Answer: 72"),
        ("72", "**72**"),
        ("72", "`72`"),
        ("72", "72.0"),
        ("72", "\\textbf{72}"),
        ("72", "{72}"),
        ("72", "(72)"),
        ("72", "= 72"),
        ("72", "x = 72"),
        ("72", "72 \\\\"),
        ("3 \\cdot 24", "72"),
        ("720", "6!"),
        ("-81", "(-81+0j)"),
        ("10", "10\n"),
        ("100000", "10^5"),
        ("2^{12}\\cdot 3", "12288"),
    ],
    "fractions": [
        ("\\frac{5}{6}", "5/6"),
        ("\\frac{5}{6}", "Fraction(5, 6)"),
        ("\\frac{5}{6}", "Rational(5, 6)"),
        ("\\frac{5}{6}", "\\dfrac56"),
        ("\\frac{5}{6}", "10/12"),
        ("\\frac{5}{6}", "\\frac 5 6"),
        ("\\frac{5}{6}", "5 \\div 6"),
        ("\\frac{5}{6}", "\\frac{-5}{-6}"),
        ("-\\frac{5}{6}", "\\frac{5}{-6}"),
        ("-\\frac{5}{6}", "-5/6"),
        ("\\frac{5}{6}", "0.8333333333"),
        ("\\frac{5}{6}", "frac{5}{6}"),
        ("\\frac{5}{6}", "\\\\frac{5}{6}"),
        ("\\frac{5}{6}", "{5}/{6}"),
        ("\\frac{5}{6}", "\\frac{5}{6}."),
        ("\\frac{5}{6}", "\\frac{\\;5\\;}{6}"),
        ("\\frac{5}{6}", "five sixths"),
        ("\\frac{1}{4}", "a quarter"),
        ("\\frac{1}{4}", "¼"),
        ("3\\frac{1}{8}", "25/8"),
        ("3\\frac18", "3.125"),
        ("3 1/8", "\\frac{25}{8}"),
        ("-3\\frac{1}{8}", "-25/8"),
        ("0.\\overline{6}", "2/3"),
        ("0.1\\overline{6}", "\\frac16"),
        ("\\frac{22}{7}\\pi", "22*pi/7"),
    ],
    "decimals": [
        ("\\frac{1}{7}", "0.1429"),
        ("\\frac{1}{7}", "0.142857"),
        ("\\frac{1}{7}", "0.14285714285714285"),
        ("\\sqrt{3}", "1.7321"),
        ("\\sqrt{3}", "1.732050807568877"),
        ("5\\pi", "15.708"),
        ("5\\pi", "15.707963267948966"),
        ("0.3", "0.30000000000000004"),
        ("12", "11.999999999999998"),
        ("12", "12.000000000000002"),
        ("0", "1.2246467991473532e-16"),
        ("0", "0.0"),
        ("0", "-0.0"),
        ("\\ln 2", "0.693147"),
        ("2.5", "2.50"),
        ("2.5", "5/2"),
        (".75", "0.75"),
        ("1.6\\times 10^{3}", "1600"),
        ("1.6\\times 10^{-3}", "0.0016"),
        ("1.6\\cdot10^{3}", "1.6e3"),
        ("1.6 \\times 10^3", "1.6e+03"),
        ("-1+\\sqrt{2}i", "-1 + 1.4142135623731*I"),
        ("1e-7", "0.0000001"),
    ],
    "thousands": [
        ("1,234", "1234"),
        ("1{,}234", "1234"),
        ("1,\\!234", "1234"),
        ("1\\,234\\,567", "1234567"),
        ("12,345,678", "12345678"),
        ("\\$1,250.50", "1250.5"),
        ("-12,345", "-12345"),
        ("10 000", "10000"),
    ],
    "percent": [
        ("15\\%", "15"),
        ("15\\%", "0.15"),
        ("15\\%", "15%"),
        ("15\\%", "\\frac{3}{20}"),
        ("15", "15\\%"),
        ("0.15", "15%"),
        ("15\\%", "15 percent"),
        ("15\\%", "15\\text{ percent}"),
        ("66\\frac23\\%", "2/3"),
        ("250\\%", "2.5"),
    ],
    "units": [
        ("12", "12 cm"),
        ("12\\text{ cm}", "12"),
        ("12\\text{ cm}", "12 centimeters"),
        ("12\\,\\mathrm{cm}", "12 cm"),
        ("12\\text{ cm}^2", "12 square centimeters"),
        ("12\\text{ square units}", "12"),
        ("\\$12", "12 dollars"),
        ("\\$12", "$12.00"),
        ("12", "\\$12"),
        ("12", "$12"),
        ("12", "12 apples"),
        ("55\\text{ miles per hour}", "55 mph"),
        ("9\\pi\\text{ m}^2", "9\\pi"),
        ("12", "12\\text{ students}"),
        ("5\\sqrt{2}\\text{ inches}", "5*sqrt(2)"),
        ("3 hours", "3 \\text{ hours}"),
        ("2.5 million", "2500000"),
        ("12 \\text{ ft}", "12\\text{ feet}"),
        ("30 \\text{ km/h}", "30 \\text{ km per hour}"),
    ],
    "degrees": [
        ("60^\\circ", "60"),
        ("60^\\circ", "60 degrees"),
        ("60^\\circ", "60°"),
        ("60", "60^{\\circ}"),
        ("60^\\circ", "\\frac{\\pi}{3}"),
        ("60^\\circ", "\\pi/3 \\text{ radians}"),
        ("60^\\circ", "pi/3"),
        ("\\sin 30^\\circ", "\\frac12"),
        ("\\angle A = 60^\\circ", "60"),
    ],
    "expressions": [
        ("x^2+2x+1", "(x+1)^2"),
        ("x^2+2x+1", "x**2 + 2*x + 1"),
        ("2(x+3)", "2x+6"),
        ("\\frac{x}{2}", "x/2"),
        ("\\frac{x}{2}", "0.5x"),
        ("\\frac{1}{2}x", "1/2x"),
        ("\\frac{a+b}{c}", "(a+b)/c"),
        ("-x+1", "1-x"),
        ("\\frac{1}{x-1}", "-\\frac{1}{1-x}"),
        ("\\sqrt{x}", "x^{1/2}"),
        ("\\sqrt{x}", "x**0.5"),
        ("\\sqrt[3]{x}", "x^{\\frac13}"),
        ("\\sin^2\\theta", "sin(theta)**2"),
        ("\\sin 2x", "2\\sin x\\cos x"),
        ("\\tan x", "\\frac{\\sin x}{\\cos x}"),
        ("\\arctan x", "atan(x)"),
        ("\\tan^{-1} x", "\\arctan x"),
        ("e^{2x}", "exp(2*x)"),
        ("\\ln(x^2)", "2\\ln x"),
        ("\\log_2 x", "log(x)/log(2)"),
        ("\\log_3 9", "2"),
        ("\\log 1000", "3"),
        ("2^{n+1}-2", "2*(2**n - 1)"),
        ("n!", "factorial(n)"),
        ("(n-1)!\\, n", "n!"),
        ("\\binom{n}{2}", "n(n-1)/2"),
        ("|x-1|", "Abs(x - 1)"),
        ("|x-1|", "|1-x|"),
        ("\\sqrt{x^2}", "|x|"),
        ("3+4i", "4i+3"),
        ("3+4i", "3 + 4*I"),
        ("3+4i", "(3+4j)"),
        ("i", "1j"),
        ("\\frac{1}{i}", "-i"),
        ("\\frac{3+4i}{5}", "0.6+0.8i"),
        ("e^{i\\pi/2}", "i"),
        ("\\sqrt{-4}", "2i"),
        ("\\sqrt[3]{-8}", "-2"),
        ("x_1+x_2", "x1 + x2"),
        ("x_{1}+x_{2}", "x_2+x_1"),
        ("a^2b", "a*a*b"),
        ("ab", "b*a"),
        ("xyz", "x*y*z"),
        ("\\pi r^2", "pi*r**2"),
        ("\\lfloor x \\rfloor", "floor(x)"),
        ("\\cos\\left(\\frac{\\pi}{5}\\right)", "\\frac{1+\\sqrt5}{4}"),
        ("\\sqrt{5+2\\sqrt6}", "\\sqrt2+\\sqrt3"),
        ("\\frac{1}{\\sqrt2}", "\\frac{\\sqrt2}{2}"),
        ("\\frac{1}{\\sqrt2}", "sqrt(2)/2"),
        ("2\\sqrt{3}", "2√3"),
        ("2\\sqrt{3}", "2*3**(1/2)"),
        ("2\\sqrt{3}", "sqrt(12)"),
        ("\\sqrt[4]{16}", "2"),
        ("\\sum_{k=1}^{4} k^2", "30"),
        ("\\sum_{i=1}^{4} i^2", "30"),
        ("\\prod_{k=1}^{4} k", "24"),
        ("\\int x^2 dx", "Integral(x**2, x)"),
        ("4\\cos^3\\theta-3\\cos\\theta", "\\cos 3\\theta"),
        ("\\frac{x^3-1}{x-1}", "x^2+x+1"),
        ("x^{-2}", "\\frac{1}{x^2}"),
        ("7^{100}", "7**100"),
    ],
    "equations": [
        ("x=5", "5"),
        ("5", "x = 5"),
        ("x=5", "Eq(x, 5)"),
        ("5", "{x: 5}"),
        ("5", "[5]"),
        ("5", "\\{5\\}"),
        ("5", "(5,)"),
        ("x=5", "5=x"),
        ("y=3x-4", "3x-4"),
        ("y=3x-4", "3x-y=4"),
        ("y=3x-4", "y = -4 + 3*x"),
        ("2x+4y=6", "x+2y=3"),
        ("2x+4y=6", "y = (3-x)/2"),
        ("x^2+y^2=9", "x^2+y^2-9=0"),
        ("f(x)=x^2", "x^2"),
        ("f(x)=x^2", "y=x^2"),
        ("f(x)=x^2", "f(x) = x**2"),
        ("P(x)=x^2-1", "(x-1)(x+1)"),
        ("x=1,y=2", "y=2,x=1"),
        ("x=1,y=2", "{x: 1, y: 2}"),
        ("x=1,y=2", "(1,2)"),
        ("(1,2)", "x=1, y=2"),
        ("(x,y)=(1,2)", "(1,2)"),
        ("x=1 \\text{ or } x=2", "1, 2"),
        ("x=1 \\text{ or } x=2", "x \\in \\{1,2\\}"),
        ("1,2", "x=1 or x=2"),
        ("1,2", "[Eq(x, 1), Eq(x, 2)]"),
        ("(1,2),(3,4)", "[{x: 1, y: 2}, {x: 3, y: 4}]"),
        ("x_1=1, x_2=2", "1, 2"),
        ("12+30=42", "42"),
        ("42", "6 \\cdot 7 = 42"),
        ("m=42", "m = 6\\cdot 7 = 42"),
        ("\\sqrt2", "\\sqrt2 \\approx 1.414"),
        ("AB=5", "5"),
        ("\\text{Cost} = 5", "5"),
        ("3:4", "3 : 4"),
        ("3:4", "6:8"),
    ],
    "containers": [
        ("1,2,3", "3,2,1"),
        ("1,2,3", "1, 2, 3"),
        ("1,2,3", "{1, 2, 3}"),
        ("1,2,3", "[3, 2, 1]"),
        ("1,2,3", "\\{3,1,2\\}"),
        ("1,2,3", "1 and 2 and 3"),
        ("1,2,3", "1, 2, and 3"),
        ("1,2,3", "1, 2 \\text{ and } 3"),
        ("\\{1,2,3\\}", "[1, 2, 3]"),
        ("\\{1,2,3\\}", "FiniteSet(1, 2, 3)"),
        ("1,2", "1\n2"),
        ("\\pm 4", "4, -4"),
        ("\\pm 4", "[-4, 4]"),
        ("x=\\pm 4", "x=4, x=-4"),
        ("2\\pm\\sqrt5", "2+\\sqrt5, 2-\\sqrt5"),
        ("\\frac{1\\pm\\sqrt5}{2}", "[1/2 - sqrt(5)/2, 1/2 + sqrt(5)/2]"),
        ("(1,2)", "(1, 2)"),
        ("(1,2)", "\\left( 1, 2 \\right)"),
        ("(1,2)", "(1.0, 2.0)"),
        ("(1,2)", "1, 2"),
        ("(1,2,3)", "\\langle 1,2,3\\rangle"),
        ("(1,2,3)", "\\begin{pmatrix}1\\\\2\\\\3\\end{pmatrix}"),
        ("(\\frac12,\\sqrt3)", "(1/2, sqrt(3))"),
        ("(1,2),(3,4)", "(3,4),(1,2)"),
        ("(1,2),(3,4)", "[(1, 2), (3, 4)]"),
        ("(1,2),(3,4)", "\\{(1,2),(3,4)\\}"),
        ("(1,2) \\text{ and } (3,4)", "(1,2),(3,4)"),
        ("\\emptyset", "\\{\\}"),
        ("\\emptyset", "EmptySet"),
        ("\\emptyset", "set()"),
        ("\\emptyset", "\\varnothing"),
        ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "[[1, 2], [3, 4]]"),
        ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "Matrix([\n[1, 2],\n[3, 4]])"),
        ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{bmatrix}1 & 2 \\\\ 3 & 4\\end{bmatrix}"),
        ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "array([[1., 2.], [3., 4.]])"),
        ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "[[1 2]\n [3 4]]"),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "[1, 2]"),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "(1, 2)"),
        ("\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "-2"),
        ("\\frac12\\begin{pmatrix}2\\\\4\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"),
    ],
    "intervals": [
        ("[1,3)", "[1, 3)"),
        ("[1,3)", "1\\le x<3"),
        ("[1,3)", "1 <= x < 3"),
        ("[1,3)", "x \\in [1,3)"),
        ("[1,3)", "Interval.Ropen(1, 3)"),
        ("[1,3)", "(1 <= x) & (x < 3)"),
        ("[1,3)", "And(1 <= x, x < 3)"),
        ("[1,3)", "x \\ge 1 \\text{ and } x < 3"),
        ("(1,3)", "Interval.open(1, 3)"),
        ("(1,3)", "1<x<3"),
        ("(1,3)", "3>x>1"),
        ("(-\\infty,3]", "x\\le 3"),
        ("(-\\infty,3]", "3 \\geq x"),
        ("(-\\infty,3]", "Interval(-oo, 3)"),
        ("x>3", "2x>6"),
        ("x>3", "-x<-3"),
        ("x>3", "3<x"),
        ("(-2,2)", "|x|<2"),
        ("(-\\infty,-2]\\cup[2,\\infty)", "|x|\\ge 2"),
        ("(-\\infty,-2]\\cup[2,\\infty)", "x\\le -2 \\text{ or } x\\ge 2"),
        ("(-\\infty,-2]\\cup[2,\\infty)", "[2,\\infty)\\cup(-\\infty,-2]"),
        ("(-\\infty,-2]\\cup[2,\\infty)", "Union(Interval(-oo, -2), Interval(2, oo))"),
        ("(-\\infty,-2]\\cup[2,\\infty)", "((-oo < x) & (x <= -2)) | ((2 <= x) & (x < oo))"),
        ("(-\\infty,0)\\cup(0,\\infty)", "x \\ne 0"),
        ("(-\\infty,0)\\cup(0,\\infty)", "\\mathbb{R}\\setminus\\{0\\}"),
        ("(-\\infty,0)\\cup(0,\\infty)", "(-oo, 0) U (0, oo)"),
        ("\\mathbb{R}", "(-\\infty,\\infty)"),
        ("\\mathbb{R}", "all real numbers"),
        ("[0,1]\\cup[1,2]", "[0,2]"),
        ("[0,\\sqrt2]", "Interval(0, sqrt(2))"),
        ("[0, 0.5]", "[0, \\frac12]"),
        ("x+y<3", "3>x+y"),
        ("x+y<3", "2x+2y<6"),
    ],
    "words": [
        ("\\text{Tuesday}", "tuesday"),
        ("\\text{Tuesday}", "'Tuesday'"),
        ("\\text{no solution}", "No solution."),
        ("\\text{(B)}", "B"),
        ("B", "(B)"),
        ("B", "b."),
        ("B", "B) 17 apples"),
        ("B", "The answer is (B)"),
        ("\\text{(B)}", "(B) Seventeen"),
        ("True", "true"),
        ("3:45 \\text{ p.m.}", "3:45 PM"),
        ("15:45", "3:45 p.m."),
        ("seven", "7"),
        ("7", "seven"),
        ("12", "twelve"),
        ("\\text{A and C}", "A, C"),
        ("k", "K"),
    ],
    "bases": [
        ("1011_2", "1011_{2}"),
        ("1011_2", "11_{10}"),
        ("11_{10}", "1011_2"),
        ("3F_{16}", "3f_{16}"),
        ("1011_{\\text{two}}", "1011_2"),
    ],
    "infinities": [("\\infty", "oo"), ("-\\infty", "-oo"), ("\\infty", "+\\infty"), ("\\infty", "infinity")],
    "escapes taken for control characters": [
        ("\\frac{1}{7}", "'\\x08oxed{ 0.14285714 }'"),
        ("\\frac{1}{7}", "\x08oxed{\x0crac{1}{7}}"),
        ("3\\times 4", "3\times 4"),
        ("\\frac{3}{2}", "\tfrac32"),
    ],
    "large": [
        ("3^{3^3}", "3**27"),
        ("5^{5^{5^5}}", "5**5**5**5"),
        ("500!", "factorial(500)"),
        ("2^{3000}", "2*2**2999"),
    ],
}

DIFFERENT: dict[str, list[tuple[str, str]]] = {
    "integers": [
        ("42", "43"),
        ("42", "-42"),
        ("42", "4 2"),
        ("42", "42, 43"),
        ("42", "(41, 42)"),
        ("42", "x + 42"),
        ("42", "42x"),
        ("42", "420"),
        ("42", ""),
        ("42", "none"),
        ("42", "42 or 43"),
        ("0", ""),
        ("1", "True"),
        ("0", "False"),
        ("0", "[]"),
        ("0", "\\emptyset"),
        ("5", "\\frac{5}{0}"),
        ("5", "nan"),
        ("10000", "9999"),
        ("10000", "10001"),
        ("10", "10^2"),
        ("25", "5^2 + 1"),
        ("42", "x^2 = 42"),
        ("42", "2x = 42"),
        ("42", "40 + 1 = 42"),
        ("42", "x > 42"),
        ("42", "Error: 42"),
        ("42", "about forty"),
    ],
    "decimals": [
        ("\\frac{1}{3}", "0.33"),
        ("\\frac{1}{3}", "0.3"),
        ("\\frac{1}{3}", "0.3334"),
        ("\\pi", "3.14"),
        ("\\pi", "3.1415"),
        ("\\pi", "22/7"),
        ("16", "15.9997"),
        ("16", "16.001"),
        ("5", "5.001"),
        ("2.5", "2.51"),
        ("0", "0.0001"),
        ("1e-9", "0"),
        ("3e5", "3e6"),
        ("12.34", "12.35"),
        ("1.0005", "1"),
        ("\\sqrt{2}", "1.41"),
        ("\\sqrt{2}", "-1.41421356"),
    ],
    "fractions": [
        ("2\\frac34", "1.5"),
        ("-1\\frac12", "-\\frac12"),
        ("3\\frac17", "\\frac37"),
        ("\\frac{2}{3}", "\\frac{3}{2}"),
        ("\\frac{2}{3}", "(2, 3)"),
        ("\\frac{2}{3}", "2, 3"),
        ("\\frac{a}{b/c}", "\\frac{a}{bc}"),
    ],
    "thousands": [("1,234", "1,235"), ("1,234", "(1, 234)"), ("1,234", "12,34"), ("12,345", "12345.5")],
    "percent": [
        ("0.25", "25"),
        ("25", "0.25"),
        ("25\\%", "2500"),
        ("25\\%", "26\\%"),
        ("10\\%", "1000\\%"),
        ("25\\%", "0.0025"),
        ("1", "100"),
    ],
    "units": [
        ("12\\text{ cm}", "12\\text{ m}"),
        ("12 cm", "12 km"),
        ("12\\text{ cm}", "12\\text{ cm}^2"),
        ("5 hours", "5 days"),
        ("\\$5", "5 cents"),
        ("\\$5", "€5"),
        ("12\\text{ cm}", "13 cm"),
        ("12", "13 cm"),
        ("12", "12x"),
    ],
    "degrees": [("60^\\circ", "30^\\circ"), ("60^\\circ", "600"), ("60^\\circ", "\\frac{\\pi}{6}"), ("60^\\circ", "0")],
    "expressions": [
        ("x", "|x|"),
        ("x", "\\sqrt{x^2}"),
        ("x+1", "x+1.0005"),
        ("x^2", "2x"),
        ("x^2", "2^x"),
        ("x", "y"),
        ("(x+1)^2", "x^2+1"),
        ("\\sin x", "\\cos x"),
        ("\\sin(x+y)", "\\sin x+\\sin y"),
        ("3+4i", "3-4i"),
        ("\\sqrt{2}", "\\sqrt[3]{2}"),
        ("\\sqrt2+\\sqrt3", "\\sqrt5"),
        ("\\log_2 3", "\\log_3 2"),
        ("n!", "(n+1)!"),
        ("2^{1000}", "2^{1000}+1"),
        ("70!", "70!+1"),
        ("2^{1000}x", "(2^{1000}+1)x"),
        ("x^{100}", "x^{100}+x^{99}"),
        ("x_1", "x_2"),
        ("\\binom{n}{2}", "\\binom{n}{3}"),
        ("a^{bc}", "a^bc"),
    ],
    "equations": [
        ("x=5", "x=-5"),
        ("x=5", "y=5"),
        ("2x+z=1", "1"),
        ("y=2x", "x=2y"),
        ("y=2x+1", "2x"),
        ("x^2=4", "2"),
        ("x^2=4", "4"),
        ("x^2+y^2=9", "x^2-y^2=9"),
        ("x=1,y=2", "x=2,y=1"),
        ("x=1,y=2", "(2,1)"),
        ("5", "7x = 5"),
        ("5", "{x: 5, y: 6}"),
        ("3:4", "4:3"),
    ],
    "containers": [
        ("1,2,3", "1,2"),
        ("1,2", "1,2,3"),
        ("1,2,2", "1,2"),
        ("123", "1,2,3"),
        ("(1,2)", "(2,1)"),
        ("(1,2)", "(1,2,0)"),
        ("(1,2)", "12"),
        ("(1,2)", "[1,2]"),
        ("(1,2)", "\\{1,2\\}"),
        ("(1,2)", "2, 1"),
        ("\\pm 4", "4"),
        ("4", "\\pm 4"),
        ("(1,2),(3,4)", "(1,4),(3,2)"),
        ("(1,2),(3,4)", "1,2,3,4"),
        ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1&3\\\\2&4\\end{pmatrix}"),
        ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "(1,2,3,4)"),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}"),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}2\\\\1\\end{pmatrix}"),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "2"),
        ("\\{1\\}", "\\{1, 2\\}"),
        ("2", "{1: 2}"),
    ],
    "intervals": [
        ("(1,3)", "[1,3]"),
        ("(1,3)", "[1,3)"),
        ("(1,3]", "[1,3)"),
        ("[1,3]", "[1,4]"),
        ("[1,3]", "1<x<3"),
        ("x>3", "x\\ge 3"),
        ("x>3", "x<3"),
        ("x>3", "y>3"),
        ("x>3", "3"),
        ("(0,1)\\cup(1,2)", "(0,2)"),
        ("(0,1)\\cup(2,3)", "(0,1)"),
        ("(0,1)\\cup(2,3)", "(0,1),(2,3)"),
        ("x\\ne 0", "x\\ne 1"),
        ("|x|<2", "x<2"),
        ("\\mathbb{R}", "\\mathbb{Z}"),
        ("x+y<3", "x+y>3"),
    ],
    "words": [
        ("\\text{even}", "odd"),
        ("\\text{even}", "even or odd"),
        ("\\text{east}", "northeast"),
        ("\\text{(B)}", "C"),
        ("B", "(C) because not B"),
        ("B", "Bob"),
        ("\\text{no solution}", "infinitely many solutions"),
        ("3:45 \\text{ p.m.}", "3:45 a.m."),
        ("yes", "no"),
    ],
    "bases": [("1011_2", "1011"), ("1011_2", "10112"), ("1011_2", "1011_3"), ("1011_2", "11"), ("1011_2", "1101_2")],
    "infinities": [("\\infty", "-\\infty"), ("\\infty", "5"), ("0", "oo"), ("\\infty", "nan")],
}

# FIELD: reported to Math-Verify (14, 37, 41, 56, 60, 64, 76, 82), lm-evaluation-harness (4030), NeMo-Skills (1074).
REPORTED_SAME = [
    ("\\text{29}", "29"),
    ("29", "029"),
    ("29", "**29**"),
    ("29", "Final Answer: **29**"),
    ("\\sqrt{3/m}", "\\frac{\\sqrt3}{\\sqrt{m}}"),
    ("6x+2y-5=0", "y = -3x + 5/2"),
    ("m \\ge \\sqrt{5}", "m \\in [\\sqrt{5}, +\\infty)"),
    ("(3,7)", "(3,7)"),
    ("[3,7)", "[3,7)"),
    ("\\begin{pmatrix}3\\\\7\\end{pmatrix}", "\\begin{pmatrix}3\\\\7\\end{pmatrix}"),
    ("\\cot^2 u+1", "\\csc^2 u"),
    ("n=4,5,6", "4, 5, 6"),
    ("1,4,\\ldots,n^2", "1, 4, \\dots, n^2"),
]
REPORTED_DIFFERENT = [
    ("\\frac{1}{1003!}", "\\frac{1}{1005!}"),
    ("\\frac{1}{3^{88}}", "\\frac{1}{3^{87}}"),
    ("\\frac{3^{1500}+1}{2\\cdot 3^{1501}}", "\\frac{1}{2\\cdot 3^{1501}}"),
    ("2-\\frac{3}{\\mathrm{e}}", "2+\\frac{3}{\\mathrm{e}}"),
    ("n=4,5,6", "n=3,4,5"),
    ("E=(2,5)", "E=(2,5.5)"),
    ("17, 29, \\text{ and } 64", "18, 30, and 64"),
    ("\\pm 1999", "1999"),
    ("11:00", "2:00"),
    ("1,2,\\ldots,k", "1,3,5,\\ldots,2k-1"),
    ("1:3:5:\\ldots", "1:9:25:\\ldots"),
    ("2x+5y+8=0", "7x-y+8=0"),
    ("6", "6\\sqrt(3)"),
    ("g(x)=0", "\\forall x>1, g(x)=0"),
    ("a_n=\\sum_{k=0}^{n-1} a_k a_{n-k-1}", "a_n=\\sum_{k=0}^{n-2} a_k a_{n-k-2}"),
]

# PAPER: verdicts of MARIO Eval measured with its own versions; here they must come out right.
OLD_FAULTS_DIFFERENT = [
    ("10\\%", "1000\\%"),
    ("3.14", "\\pi"),
    ("1", "1.004"),
    ("100", "100.005"),
    ("5\\text{ cm}", "5\\text{ km}"),
    ("x", "|x|"),
    ("\\sqrt{x^2}", "x"),
    ("x=5", "y=5"),
    ("x+1", "x+1.0005"),
    ("1,234", "(1,234)"),
    ("11_2", "11"),
    ("8", "8 PM"),
    ("1,2,2", "1,2"),
    ("2^{1000}", "2^{1000}+1"),
    ("70!", "70!+1"),
    ("\\frac13", "0.333"),
    ("0", "0.0009"),
    ("(1,2)", "[1,2]"),  # reported as missed there; brackets count by our rules
]
OLD_FAULTS_SAME = [
    ("x^2+y^2=4", "2x^2+2y^2=8"),
    ("0<x<1", "(0,1)"),
    ("(1,2)", "1,2"),
    ("1\\pm\\sqrt2", "1+\\sqrt2, 1-\\sqrt2"),
    ("\\infty", "infinity"),
    ("\\emptyset", "\\{\\}"),
    ("x \\ne 1", "1 \\ne x"),
    ("1 \\le x < 4", "4 > x \\ge 1"),
    ("\\text{Tuesday}", "$\\text{Tuesday}$"),
    ("\\text{Tuesday}", "\\boxed{\\text{Tuesday}}"),
    ("\\text{Tuesday}", "\\text{Tuesday}."),
]


# One pair a line, parted by " | ": spellings of one value, and values that look alike.
SPELLINGS = r"""
5 | \(5\).
5 | \[5\]
\frac{1}{2} | \frac{1}{2}$
\frac{1}{2} | $\frac{1}{2}
\sqrt{2} | \sqrt 2
\sqrt{2} | √(2)
\sqrt{2} | √2
\sqrt{2} | sqrt2
\sqrt{2} | \surd 2
2\sqrt{2} | 2 \sqrt {2}
\frac{\sqrt{3}}{2} | \sqrt{3}/2
\frac{\sqrt{3}}{2} | √3/2
3\pi | 3π
3\pi | 3 pi
3\pi | 3pi
x^2 | x^{2}
x^2y | x²y
-\frac{1}{2} | −1/2
\le 5 | ≤ 5
x \ge 2 | x≥2
x \ge 2 | x => 2
x \leq 5 | x =< 5
\frac{1}{2} | 1 / 2
12 | 12 \text{ units}
12 | 12 \text{units}
12 | 12~\text{cm}
12 | 12\ \text{cm}
12 | 12 \mathrm{~cm}
12\text{ cm}^3 | 12 cubic cm
12\text{ cm}^3 | 12 cm^3
12\text{ cm}^3 | 12 cm³
12\text{ m/s} | 12 meters per second
12\text{ m/s} | 12 m/s
12 | 12 people
12 | twelve
\$3.50 | 3.50 dollars
\$3.50 | $3.5$
\$3.50 | USD 3.50
\$3.50 | 3.5
3.50 | \$3.50
45 | 45 minutes
2 hours | 2
2\text{ hours} | 2 hrs
75 cents | 75
\text{(A)} | A
\text{(A)} | (A)
A | Option A
A | \boxed{A}
A | \text{A}
A | choice (A)
A | A)
C | C: 5 apples
\text{Monday} | Monday.
\text{Monday} | \text{monday}
\text{yes} | Yes
\text{false} | False
\text{no real solutions} | no real solutions
x^2+1 | 1 + x**2
x+y | y+x
\frac{x+1}{x-1} | (x + 1)/(x - 1)
\frac{x+1}{x-1} | (1 + x)/(-1 + x)
\frac{x}{y} | x*y**(-1)
x^{-1} | 1/x
x^{\frac{3}{2}} | x**(3/2)
x^{\frac{3}{2}} | x*sqrt(x)
e^{-x} | exp(-x)
e^{-x} | 1/e**x
\ln x | log(x)
\log x | log(x)
\log_{10} x | log(x, 10)
\log_{10} x | \log x
\log_2 10 | log(10, 2)
\log_2 10 | log(10)/log(2)
\sin^{-1}(x) | arcsin(x)
\cot x | 1/\tan x
\csc x | 1/sin(x)
\sin^2 x+\cos^2 x | 1
\cos 2x | 1 - 2 sin^2 x
\binom{8}{3} | 56
\binom{8}{3} | {8 \choose 3}
8! | 40320
|x| | Abs(x)
|-3| | 3
\lceil 2.1 \rceil | 3
2+i | 2+1i
2+i | I + 2
2-i | 2 - 1.0*I
2-i | (2-1j)
\frac{1}{2}+\frac{\sqrt3}{2}i | 1/2 + sqrt(3)*I/2
\frac{1}{2}+\frac{\sqrt3}{2}i | 0.5 + 0.866025403784439*I
\frac{1}{2}+\frac{\sqrt3}{2}i | e^{i\pi/3}
(1,2) | (1,2).
(1,2) | $(1,2)$
(1,2) | \left(1,2\right)
(1,2) | (1; 2)
(1,2) | Point2D(1, 2)
(1,2) | \langle 1, 2\rangle
(x,y)=(1,2) | x=1,y=2
x=1,y=2 | x = 1 and y = 2
x=1,y=2 | (x, y) = (1, 2)
1,2 | x=1, x=2
1,2 | x_1 = 1, x_2 = 2
1,2 | 1 \text{ and } 2
1,2 | 1 \text{ or } 2
1,2 | x = 1, 2
1,2 | \{1,2\}
1,2 | {1,2}
1,2 | {1.0, 2.0}
1,2 | [1.0, 2.0]
\{1,2\} | {2, 1}
\{1,2\} | 1,2
\{1,2\} | x \in \{1, 2\}
1 | [1]
1 | {1}
1 | (1)
1 | [1.00000000000000]
1 | [{x: 1}]
1 | array([1])
1 | Matrix([[1]])
1 | np.float64(1.0)
1 | [Fraction(1, 1)]
(1,2),(3,4) | (1,2) and (3,4)
(1,2),(3,4) | {(1, 2), (3, 4)}
(1,2),(3,4) | [(3, 4), (1, 2)]
(1,2),(3,4) | [{x: 1, y: 2}, {x: 3, y: 4}]
[0,1] | 0 \le x \le 1
[0,1] | 0≤x≤1
[0,1] | {x | 0 <= x <= 1}
[0,1] | \{x \mid 0 \le x \le 1\}
(0,1) | \{x : 0 < x < 1\}
(0,1) | 0 < x < 1
(0,\infty) | x>0
(0,\infty) | (0, oo)
(0,\infty) | (0, inf)
(0,\infty) | Interval.open(0, oo)
(0,\infty) | (0, +∞)
(-\infty,0)\cup(1,\infty) | x<0 or x>1
(-\infty,0)\cup(1,\infty) | (-∞,0)∪(1,∞)
(-\infty,0)\cup(1,\infty) | Or(x < 0, x > 1)
(-\infty,0)\cup(1,\infty) | (x < 0) | (x > 1)
(-\infty,0)\cup(1,\infty) | ((-oo < x) & (x < 0)) | ((1 < x) & (x < oo))
(-\infty,0)\cup(1,\infty) | Union(Interval.open(-oo, 0), Interval.open(1, oo))
\mathbb{R} | Reals
\mathbb{R} | (-oo, oo)
\mathbb{R} | ℝ
[2,\infty) | [2, oo)
[2,\infty) | Interval(2, oo)
[2,\infty) | y \ge 2
y=2x+1 | y = 2*x + 1
y=2x+1 | Eq(y, 2*x + 1)
y=2x+1 | 2*x + 1
y=2x+1 | y - 2x - 1 = 0
y=2x+1 | y-1=2x
x+y=3 | y=3-x
x^2+y^2=1 | Eq(x**2 + y**2, 1)
x^2+y^2=1 | x^2 = 1 - y^2
\frac{x^2}{4}-\frac{y^2}{9}=1 | 9x^2-4y^2=36
f(x)=2x | f(x) = 2*x
f(x)=2x | 2x
f(x)=2x | y=2x
f^{-1}(x)=\frac{x-1}{2} | \frac{x-1}{2}
\begin{pmatrix}1&2\\3&4\end{pmatrix} | Matrix([[1, 2], [3, 4]])
\begin{pmatrix}1&2\\3&4\end{pmatrix} | \left(\begin{array}{cc}1&2\\3&4\end{array}\right)
\begin{pmatrix}1&2\\3&4\end{pmatrix} | [[1.0, 2.0], [3.0, 4.0]]
\begin{pmatrix}1&2\\3&4\end{pmatrix} | ((1, 2), (3, 4))
\begin{pmatrix}1\\2\end{pmatrix} | [[1], [2]]
\begin{pmatrix}1\\2\end{pmatrix} | \begin{bmatrix}1\\2\end{bmatrix}
\begin{pmatrix}1\\2\end{pmatrix} | [1. 2.]
\begin{pmatrix}1\\2\end{pmatrix} | [[1.]\n [2.]]
\begin{pmatrix}-\frac12\\2\end{pmatrix} | Matrix([\n[-1/2],\n[   2]])
50\% | 50
50\% | 0.5
50\% | 1/2
50\% | 50 %
50\% | 50 percent
33.3\% | 33.3
1{,}000 | 1000
1,000 | 1000.0
1,000,000 | 10^6
1.5\times10^6 | 1500000
1.5\times10^6 | 1.5e6
1.5\times10^6 | 1.5E6
1.5\times10^6 | 1.5*10**6
1.5\times10^{-6} | 1.5e-06
30^\circ | 30
30^\circ | 30^o
30^\circ | 30 deg
30^\circ | \frac{\pi}{6}
\frac{\pi}{6} | 30^\circ
101_2 | 101_{2}
101_2 | 5_{10}
1A_{16} | 1a_{16}
2\frac{1}{2} | 2.5
2\frac{1}{2} | 5/2
2\frac{1}{2} | 2 1/2
2\frac{1}{2} | 2+\frac{1}{2}
0.\overline{3} | 1/3
0.\overline{3} | 0.3333...
0.\overline{3} | 0.333333333333
0.\overline{142857} | 1/7
2:3 | 2/3
2:3 | 4:6
7 | 7\text{.}
7 | 7 \checkmark
7 | \underline{7}
7 | {\bf 7}
7 | \color{blue}{7}
7 | \mathbf{7}
7 | \huge 7
7 | 7 \qquad
7 | x=7 \text{ cm}
7 | x = 7.0
7 | \text{x}=7
7 | "7"
7 | '7'
7 | seven
3x+2 | (3x+2)
3x+2 | 3*x+2
3(x+1) | 3x+3
x(x-1)(x+1) | x**3 - x
-2(x-1) | 2-2x
a_n=2n+1 | 2n+1
n^2+n | n(n+1)
2^n-1 | 2**n - 1
k=3 | 3
\theta = 60^\circ | 60
A=\pi r^2 | \pi r^2
\pm\sqrt{3} | \sqrt{3}, -\sqrt{3}
\pm\sqrt{3} | [-sqrt(3), sqrt(3)]
\pm\sqrt{3} | {sqrt(3), -sqrt(3)}
x=\pm 2 | -2, 2
\frac{-1\pm i\sqrt3}{2} | -\frac12+\frac{\sqrt3}{2}i, -\frac12-\frac{\sqrt3}{2}i
\frac{-1\pm i\sqrt3}{2} | [-1/2 - sqrt(3)*I/2, -1/2 + sqrt(3)*I/2]
1+\sqrt{2},1-\sqrt{2} | 1 \pm \sqrt{2}
10:30 \text{ a.m.} | 10:30 AM
10:30 \text{ a.m.} | 10:30am
10:30 | 10:30
\text{6:30 pm} | 18:30
\text{July} | july
\text{blue} | Blue
\text{Friday, May 5} | Friday May 5
3, 5, 7 | 3,5,7
3, 5, 7 | 3, 5 and 7
3, 5, 7 | [3, 5, 7]
3, 5, 7 | 3 5 7
3 5 7 | 3, 5, 7
\infty | Infinity
\infty | inf
\frac{n}{n+1} | 1 - 1/(n+1)
\frac{1}{2}\ln 2 | log(2)/2
\frac{\ln 2}{2} | 0.34657359
\tan^{-1} 2 | atan(2)
\arccos\frac13 | acos(1/3)
\sqrt[3]{2} | 1.259921
\sqrt[3]{2} | 2^{1/3}
\sqrt[3]{2} | cbrt(2)
\phi | \varphi
"""
LOOK_ALIKES = r"""
\frac{1}{2} | 1, 2
x^2 | x2
5 | 5x
5 | x5
\sqrt{2} | \sqrt{2}i
2\pi | 2
2\pi | 6.28
x+1 | x-1
(1,2) | (1,2,3)
[0,1] | [0,1)
[0,1] | 0 < x < 1
(0,\infty) | x \ge 0
3:4 | 3.4
12\text{ cm} | 12\text{ mm}
12\text{ cm}^2 | 12\text{ cm}^3
50\% | 5
7 | 7, 8
7 | 7 or 8
7 | x > 7
7 | 77
7 | -7
7 | 7!
7 | 7^2
7 | 7i
7 | 7\%7
7 | (7, True)
7 | [7, 7]
7 | {7: 1}
7 | None
7 | nan
7 | Piecewise((7, x > 0), (0, True))
7 | 7 + O(x)
7 | answer: unknown
7 | ?
7 | 7??8
A | B
A | AB
A | apple
A | A or B
A | A, B
\text{yes} | yes or no
1,2 | 1,2,3
1,2 | 12
1,2 | 1.2
1,2 | 2
\{1,2\} | (1,2)
2\frac{1}{2} | 1
30^\circ | 3
30^\circ | 30\text{ cm}
0.5 | 50
x=2 | y=2
x=2 | x>2
y=2x+1 | y=2x-1
x^2+y^2=1 | x^2+y^2=2
\begin{pmatrix}1\\2\end{pmatrix} | [2, 1]
\begin{pmatrix}1\\2\end{pmatrix} | 3
10^{10} | 10^{11}
10:30 \text{ a.m.} | 10:30 PM
101_2 | 101_3
1000 | 1,00
1000 | 1,0000
a_1 | a_2
\text{blue} | red
\frac{\pi}{2} | 1.57
0.001 | 0
\frac{1}{3} | 0.333
e | 2.718281
e | 2.72
"""


def lines(text: str) -> list[tuple[str, str]]:
    pairs = [line.split(" | ", 1) for line in text.strip().splitlines()]
    return [
        (left, right.replace("\\n", "\n") if "\\n[" in right or "\\n [" in right else right) for left, right in pairs
    ]


def flat(cases: dict[str, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    return [pair for group in cases.values() for pair in group]


@pytest.mark.parametrize(("reference", "answer"), [*flat(SAME), *lines(SPELLINGS), *REPORTED_SAME, *OLD_FAULTS_SAME])
def test_agree(reference: str, answer: str) -> None:
    assert is_equivalent(reference, answer)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [*flat(DIFFERENT), *lines(LOOK_ALIKES), *REPORTED_DIFFERENT, *OLD_FAULTS_DIFFERENT],
)
def test_differ(reference: str, answer: str) -> None:
    assert not is_equivalent(reference, answer)
    assert not is_equivalent(answer, reference)


def test_only_brackets_of_two_depend_on_the_order_of_arguments() -> None:
    """A reference [0, 1] is an interval; an answer [0, 1] may be a Python list of the two solutions."""
    assert not is_equivalent("[0, 1]", "\\{0, 1\\}")
    assert is_equivalent("\\{0, 1\\}", "[0, 1]")
