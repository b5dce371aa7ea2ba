// Command moby answers, line by line, what Moby's own matcher says of an ignore file and some paths.
//
// Verdicts: of MatchesOrParentMatches (the docker command), and of a walk with MatchesUsingParentResults (BuildKit).
package main

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

type question struct {
	Ignore string   `json:"ignore"`
	Paths  []string `json:"paths"`
}

type answer struct {
	Error  string `json:"error"`
	Docker []bool `json:"docker"`
	Walk   []bool `json:"walk"`
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var asked question
		if in.Decode(&asked) != nil {
			return
		}
		reply, err := verdicts(asked)
		if err != nil {
			reply = answer{Error: err.Error()}
		}
		out.Encode(reply)
	}
}

func verdicts(asked question) (reply answer, err error) {
	patterns, err := ignorefile.ReadAll(strings.NewReader(asked.Ignore))
	if err != nil {
		return reply, err
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return reply, err
	}
	for _, path := range asked.Paths {
		docker, err := matcher.MatchesOrParentMatches(path)
		if err != nil {
			return reply, err
		}
		walk, err := walked(matcher, path)
		if err != nil {
			return reply, err
		}
		reply.Docker, reply.Walk = append(reply.Docker, docker), append(reply.Walk, walk)
	}
	return reply, nil
}

func walked(matcher *patternmatcher.PatternMatcher, path string) (excluded bool, err error) {
	var info patternmatcher.MatchInfo
	parts := strings.Split(path, "/")
	for depth := range parts {
		excluded, info, err = matcher.MatchesUsingParentResults(strings.Join(parts[:depth+1], "/"), info)
		if err != nil {
			return false, err
		}
	}
	return excluded, nil
}
