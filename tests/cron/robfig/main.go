// Says what robfig/cron does with each line of its input, "unix seconds<TAB>expression": the six
// next firings in unix seconds, "error" with the reason, or fewer where there are no more.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		start, expression, _ := strings.Cut(lines.Text(), "\t")
		seconds, _ := strconv.ParseInt(start, 10, 64)
		schedule, err := cron.ParseStandard(expression)
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		at := time.Unix(seconds, 0).UTC()
		var found []string
		for i := 0; i < 6; i++ {
			if at = schedule.Next(at); at.IsZero() {
				break
			}
			found = append(found, strconv.FormatInt(at.Unix(), 10))
		}
		fmt.Println(strings.Join(found, " "))
	}
}
